from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from nonlocal_det.explorer import Explorer, MapOptions, Pick, draw_sheet
from nonlocal_det.explorer.explorer import attention_of_click
from nonlocal_det.explorer.figures import as_png, png_of_maps
from nonlocal_det.visualization import STYLES, TOP_K

IMAGE = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
HEADS = [f"keypoint_head.nl{k}" for k in (2, 4, 6, 8)]


@pytest.fixture(scope="module")
def prediction(model):
    return Explorer([model]).predict(model, IMAGE)


@pytest.fixture(scope="module")
def baseline_prediction(baseline):
    return Explorer([baseline]).predict(baseline, IMAGE)


def with_joints(prediction, *, score=1.0):
    """Two detections; the second one has a joint at (40, 20), all others are far away."""
    found = prediction.instances[:2]
    found.pred_boxes.tensor = torch.tensor([[0.0, 0.0, 90.0, 60.0], [20.0, 10.0, 50.0, 50.0]])
    joints = torch.zeros(2, 17, 3)
    joints[:, :, :2] = 90.0
    joints[1, 9] = torch.tensor([40.0, 20.0, score])  # the left wrist
    found.pred_keypoints = joints
    return replace(prediction, instances=found)


def shorts(looks):
    return [".".join(one.block.split(".")[-2:]) for one in looks]


def test_a_click_near_a_joint_means_the_joint(prediction):
    near = with_joints(prediction).pick((41.5, 21.0), 0.0)
    assert near == Pick((40.0, 20.0), "2: left_wrist", 1)


@pytest.mark.parametrize(
    ("point", "score", "instance"),
    [
        ((44.0, 20.0), 1.0, 1),  # 4 pixels away; 2.5 % of 96 are 2.4
        ((41.0, 20.0), 0.01, 1),  # a joint that is not drawn
        ((70.0, 30.0), 1.0, 0),  # in the larger box alone
        ((95.0, 63.0), 1.0, None),
    ],
)
def test_a_click_elsewhere_means_the_point(prediction, point, score, instance):
    picked = with_joints(prediction, score=score).pick(point, 0.0)
    assert picked == Pick(point, f"({point[0]:.0f}, {point[1]:.0f})", instance)


def test_a_joint_that_is_clicked_on_another_model_is_a_point_here(prediction):
    assert with_joints(prediction).pick((41.0, 21.0), 0.0, snap=False).title == "(41, 21)"


def test_a_click_beside_the_picture_means_its_border(prediction):
    assert prediction.pick((-3.0, 64.0), 2.0).point == pytest.approx((0.0, 64.0), abs=0.01)


def test_detections_that_are_not_shown_cannot_be_meant(prediction):
    assert prediction.pick((48.0, 32.0), 2.0).instance is None


def test_blocks_of_heads_are_asked_in_the_region_that_is_meant(prediction):
    x, y = prediction.instances[2].pred_boxes.get_centers()[0].tolist()
    looks = prediction.attention_at(Pick((x, y), instance=2), 0.0, MapOptions())
    assert shorts(looks) == ["res4.nl0", *HEADS]
    box = prediction.instances.pred_boxes.tensor[2].tolist()
    assert looks[1].placement.box == pytest.approx(box, abs=1e-2)
    hidden = frozenset({looks[0].block, looks[2].block})
    rest = prediction.attention_at(Pick((x, y), instance=2), 0.0, MapOptions(hidden=hidden))
    assert shorts(rest) == ["keypoint_head.nl2", "keypoint_head.nl6", "keypoint_head.nl8"]
    outside = prediction.attention_at(Pick((x, y)), 0.0, MapOptions())
    assert shorts(outside) == ["res4.nl0"]


def test_another_function_of_the_same_theta_and_phi(prediction):
    pick = Pick((48.0, 32.0), instance=0)
    trained = prediction.attention_at(pick, 0.0, MapOptions())
    products = prediction.attention_at(pick, 0.0, MapOptions(pairwise="dot_product"))
    for one, product in zip(trained, products, strict=True):
        assert product.signed
        logits = product.weights * product.visible.sum()  # Eq. 4 divides by Q; Eq. 3's exponents
        shares = np.where(product.visible, np.exp(logits - logits.max()), 0)
        np.testing.assert_allclose(one.weights, shares / shares.sum(), atol=1e-6)
    with pytest.raises(ValueError, match="embedded_gaussian has not learnt the w_f that it needs"):
        prediction.attention_at(pick, 0.0, MapOptions(pairwise="concatenation"))


def test_a_model_says_what_its_blocks_compute(model, baseline):
    assert set(model.blocks.values()) == {"embedded_gaussian"}
    assert len(model.blocks) == 5
    assert baseline.blocks == {}


def test_a_baseline_beside_it_has_detections_and_no_looks(prediction, baseline_prediction):
    assert len(baseline_prediction.instances)
    point = tuple(prediction.instances.pred_boxes.get_centers()[0].tolist())
    answer = attention_of_click(
        [baseline_prediction, prediction], prediction, point, 0.0, MapOptions()
    )
    assert [len(looks) for looks in answer.maps] == [0, 5]
    assert [len(pngs) for pngs in answer.pngs] == [0, 5]
    assert answer.maps[1][0].query == answer.pick.point


def test_the_figures_follow_styles_arrows_and_place(prediction):
    def figure(point=(20.0, 20.0), **options):
        hidden = frozenset(name for name in prediction.model.blocks if "res4" not in name)
        (png,) = attention_of_click(
            [prediction], prediction, point, 2.0, MapOptions(hidden=hidden, **options)
        ).pngs[0]
        return Image.open(BytesIO(png))

    both = figure()
    assert figure(styles=("heat",)).height < 0.6 * both.height
    products = figure(pairwise="dot_product")
    assert figure((70.0, 50.0)).tobytes() != both.tobytes() != products.tobytes()
    assert figure(pairwise="dot_product", top_k=1).tobytes() != products.tobytes()
    assert figure().tobytes() == both.tobytes()


def test_a_sheet_has_the_pictures_as_they_are(prediction):
    picture = np.full((50, 40, 3), 200, np.uint8)
    picture[10:20, 5:30] = (255, 0, 0)
    maps = prediction.attention_at(Pick((20.0, 20.0)), 2.0, MapOptions())
    attention = png_of_maps(IMAGE, maps, STYLES, TOP_K)
    rows = [("one", [as_png(picture), attention]), ("two", [as_png(picture)])]
    sheet = np.asarray(Image.open(BytesIO(draw_sheet(rows))).convert("RGB"))
    red = (sheet == (255, 0, 0)).all(axis=2)
    assert red.sum() == 2 * 10 * 25
    rows, columns = np.nonzero(red)
    assert columns.min() == 16 + 5
    for top in (34 + 10, rows.max() - 9):
        found = sheet[top - 10 : top + 40, 16:56]
        np.testing.assert_array_equal(found, picture)
    assert (sheet[100:, 60:] != 255).any()  # the looks beside it


def test_images_of_the_folder_are_read_within_the_limits(model, tmp_path):
    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    explorer = Explorer([model], [tmp_path / "a.png", tmp_path / "gone.png"])
    np.testing.assert_array_equal(explorer.read(0), IMAGE)
    with pytest.raises(FileNotFoundError, match="gone.png: no such file"):
        explorer.read(1)
    with pytest.raises(ValueError, match="no model to explore"):
        Explorer([])
