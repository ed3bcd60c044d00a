import pytest
import torch
from lively_model import lively_model, noise_images

from nonlocal_det.export import compare, eager_outputs

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
