import pytest
import torch
from lively_model import lively_model, noise_images

from nonlocal_det.export import DetectionGraph, compare, eager_outputs

IMAGES = 2


@pytest.fixture(scope="module")
def model():
    return lively_model("quick/nl_mask_keypoint_rcnn_R18")


@pytest.fixture(scope="module")
def images():
    torch.manual_seed(1)
    return noise_images()[1 : 1 + IMAGES]


def changed(model, change):
    """A file that gives what the model gives, but for a change of what it found."""

    def run(image, threshold):
        found = eager_outputs(model, image, threshold)
        if len(found["scores"]):
            change(found)
        return found

    return run


def shuffle(found):
    order = torch.randperm(len(found["scores"]))
    for name, value in found.items():
        found[name] = value[order]


def test_the_order_of_detections_does_not_matter(model, images):
    result = compare(model, changed(model, shuffle), images, 0.05)
    assert result.images == IMAGES + 1
    assert set(result.worst.values()) == {0.0}
    assert {"boxes", "scores", "classes", "masks", "keypoints"} < set(result.worst)
    assert f"{result.detections} detections" in str(result)


def drop(found):
    for name, value in found.items():
        found[name] = value[:-1]


def repeat(found):
    for name, value in found.items():
        found[name] = torch.cat([value[:1], value[:-1]])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f["boxes"][0].add_(2e-3), "boxes differ by 0.002, more than 0.001"),
        (lambda f: f["scores"][0].add_(2e-5), "scores differ by 2e-05"),
        (lambda f: f["masks"][-1, 3, 3].add_(1e-3), "masks differ by 0.001"),
        (lambda f: f["classes"].add_(1), "classes differ by 1"),
        (lambda f: f["keypoints"][0, 4, 2].add_(2e-4), "keypoint scores differ by 0.0002"),
        (lambda f: f["keypoints"][..., 2].mul_(1.02), "keypoint scores differ by"),
        (lambda f: f["keypoints"][..., 0].add_(2e-3), "joints are elsewhere"),
        (lambda f: f["masks"][0].fill_(torch.nan), "masks are not finite"),
        (lambda f: f.update(scores=f["scores"].double()), r"scores is torch.float64 \("),
        (drop, r"image 0 \(64 x 64\): \d+ detections; the model has \d+"),
        (repeat, "detections of the model that the file has not"),
    ],
)
def test_a_difference_is_named(change, said, model, images):
    with pytest.raises(ValueError, match=said):
        compare(model, changed(model, change), images, 0.05)


def test_a_joint_may_be_at_an_equal_place_now_and_then(model, images):
    def move(found):
        found["keypoints"][0, 4, 0] += 3

    result = compare(model, changed(model, move), images, 0.05)
    assert 0 < result.moved <= IMAGES
    assert f"{result.moved} of {result.joints} joints at an equal place" in str(result)


def flat(*sizes):
    return [torch.full((3, *size), 40.0) for size in sizes]


@pytest.fixture(scope="module")
def tying():
    """A model whose proposals depend on a few pixels each: most tie on a picture of one colour."""
    options = ["MODEL.RPN.IN_FEATURES", ["p2"], "MODEL.ANCHOR_GENERATOR.SIZES", [[16]]]
    options += ["MODEL.RPN.PRE_NMS_TOPK_TEST", 20, "MODEL.KEYPOINT_ON", False]
    model = lively_model("quick/nl_mask_keypoint_rcnn_R18", *options)
    for level in (3, 4, 5):
        torch.nn.init.zeros_(getattr(model.backbone, f"fpn_lateral{level}").weight)
    return model


def test_ties_may_be_broken_otherwise(tying):
    """`topk` of the graph takes others of the equal proposals than Detectron2's sort."""
    graph = DetectionGraph(tying).eval()

    def run(image, threshold):
        with torch.no_grad():
            return dict(zip(graph.outputs, graph(image, torch.tensor(threshold)), strict=True))

    (image,) = flat((96, 131))
    expected, outputs = eager_outputs(tying, image, 0.01), run(image, 0.01)
    assert (expected["boxes"] - outputs["boxes"]).abs().max() > 1
    result = compare(tying, run, [image], 0.01)
    assert result.detections >= 9
    assert result.worst["boxes"] < 1e-4


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f["boxes"][0].add_(2e-3),
        lambda f: f["scores"][0].add_(2e-5),
        lambda f: f["masks"][-1, 3, 3].add_(1e-3),
        drop,
    ],
    ids=["boxes", "scores", "masks", "drop"],
)
def test_a_wrong_file_is_refused_where_detections_tie(change, tying):
    with pytest.raises(ValueError, match=r"image 0 \(96 x 131\): "):
        compare(tying, changed(tying, change), flat((96, 131)), 0.01)


def test_a_difference_may_be_the_models_own_change(model, images):
    """On a large picture of one colour noise of 0.001 changes scores by up to 3e-5."""
    pictures = flat((256, 320))

    def file(difference):
        return changed(model, lambda outputs: outputs["scores"].add_(difference))

    assert 1.5e-5 < compare(model, file(1.6e-5), pictures, 0.05).worst["scores"] < 2e-5
    for difference, where in ((1e-4, pictures), (1.6e-5, images)):
        with pytest.raises(ValueError, match="scores differ by"):
            compare(model, file(difference), where, 0.05)


def test_keypoint_scores_above_1_are_compared_as_shares(model):
    """They are exponentials: a large score has a large last digit."""
    run = changed(model, lambda outputs: outputs["keypoints"][..., 2].mul_(1 + 5e-5))
    (image,) = flat((256, 320))
    assert eager_outputs(model, image, 0.05)["keypoints"][..., 2].max() > 5
    assert compare(model, run, [image], 0.05).worst["keypoint scores"] < 6e-5


def test_detections_where_there_are_none_are_found_out(model, images):
    def run(image, threshold):
        return eager_outputs(model, image, min(threshold, result.threshold))

    result = compare(model, changed(model, lambda found: None), images, 0.05)
    with pytest.raises(ValueError, match=r"no detection \(64 x 64\): \d+ detections; the model ha"):
        compare(model, run, images, 0.05)


def test_a_threshold_is_lowered_until_there_is_something_to_compare(model, images):
    result = compare(model, changed(model, lambda found: None), images, 0.9999)
    assert result.threshold < 0.9999
    assert result.detections >= 3 * IMAGES


def test_the_models_own_threshold_is_put_back(model, images):
    before = model.roi_heads.box_predictor.test_score_thresh
    eager_outputs(model, images[0], 0.7)
    assert model.roi_heads.box_predictor.test_score_thresh == before
