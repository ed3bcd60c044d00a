import copy

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model
from small_models import small_config
from torch import nn

from nonlocal_det.layers import (
    KERNELS,
    SUBSAMPLE,
    GlobalContextBlock,
    NonLocalBlock,
    PerPositionBlock,
)
from nonlocal_det.visualization import record_attention

HEAD = "roi_heads.keypoint_head.nl"


def hooks_of(model: nn.Module) -> int:
    return sum(
        len(m._forward_pre_hooks) + len(m._forward_hooks) + len(m._forward_pre_hooks_with_kwargs)
        for m in model.modules()
    )


@pytest.fixture(scope="module")
def detector():
    torch.manual_seed(0)
    return build_model(small_config()).eval()


def inputs(*sizes):
    """Images as the network sees them, (h, w), and as they were: 1/2 and 1/3."""
    return [
        {"image": torch.rand(3, h, w) * 255, "height": h // 2, "width": w // 3} for h, w in sizes
    ]


@pytest.mark.parametrize("subsample", SUBSAMPLE)
@pytest.mark.parametrize(
    ("pairwise", "kernel"), [(p, k) for k, (_, served) in KERNELS.items() for p in served]
)
def test_the_recorded_rows_give_the_blocks_own_response(pairwise, kernel, subsample):
    block = NonLocalBlock(8, pairwise=pairwise, kernel=kernel, subsample=subsample).double()
    x = torch.randn(1, 8, 5, 6).double()
    with record_attention(block) as maps:
        block(x)
    seen = maps.at("", (3.5, 1.5))
    assert seen.position == (1, 3)
    g = block.project(x)[2][0]  # (Q, Ci)
    y = torch.from_numpy(seen.weights).reshape(-1) @ g  # Eq. 1
    torch.testing.assert_close(y, block.respond(x)[0, :, 1, 3])
    assert seen.signed == (pairwise == "dot_product")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_under_autocast_the_rows_are_those_the_block_used(dtype):
    block = NonLocalBlock(64, pairwise="dot_product", subsample="none")
    x = torch.randn(1, 64, 4, 4) * 3
    with record_attention(block) as maps, torch.autocast("cpu", dtype):
        block(x)
        theta, phi, _, _ = block.project(x)
    exact = block.attention(x, (2, 1))[0].detach().numpy()
    used = (theta.float() @ phi.float().transpose(1, 2) / 16)[0, 9].detach().numpy()
    weights = maps.at("", (1.0, 2.0)).weights.reshape(-1)
    np.testing.assert_allclose(weights, used, rtol=1e-5)
    assert np.abs(weights - exact.reshape(-1)).max() > 1e-3  # which full precision would not give


class BrightSpots(nn.Module):
    """A detector's skeleton: pads, reduces 16 times, and a block whose f is x_i . x_j."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.AvgPool2d(16),
            NonLocalBlock(3, inner_channels=3, pairwise="dot_product", subsample="none"),
        )
        for layer in (self.backbone[1].theta, self.backbone[1].phi):
            layer.weight.data = torch.eye(3).view(3, 3, 1, 1)

    def forward(self, batched_inputs):
        batch = torch.zeros(len(batched_inputs), 3, 96, 128)
        for one, given in zip(batch, batched_inputs, strict=True):
            one[:, : given["image"].shape[1], : given["image"].shape[2]] = given["image"]
        return self.backbone(batch)


def test_padding_resizing_and_strides_are_undone():
    given = inputs((96, 96), (64, 128))
    for one in given:
        one["image"] *= 0.001
    given[0]["image"][:, 80:96, 16:32] = 1.0  # cell (5, 1) of 16 pixels
    given[1]["image"][:, 0:16, 112:128] = 1.0  # cell (0, 7)
    model = BrightSpots()
    with record_attention(model) as maps:
        model(given)
    assert maps.image_sizes == ((48, 32), (32, 42))
    for image, (x, y) in enumerate([(24 / 3, 88 / 2), (120 * 42 / 128, 8 / 2)]):
        seen = maps.at("backbone.1", (x, y), image=image)
        ((spot, weight),) = seen.strongest(1)
        assert spot == pytest.approx((x, y))
        assert weight == pytest.approx(3 / 48)  # (1, 1, 1) . (1, 1, 1) over the 6 x 8 keys
        inside = seen.to_image()
        assert inside.shape == maps.image_sizes[image]
        assert np.unravel_index(inside.argmax(), inside.shape) <= (int(y) + 1, int(x) + 1)
        assert inside[int(y), int(x)] == inside.max()


def test_keys_in_the_padding_of_a_batch_weigh_nothing(detector):
    with record_attention(detector) as maps, torch.no_grad():
        detector(inputs((64, 96), (96, 64)))
    first = maps.at("res4.nl0", (10.0, 10.0), image=0)
    assert first.weights.shape == (3, 3)
    assert not first.weights[2].any()  # 64 of 96 rows are real: 4 of 6 positions, 2 of 3 keys
    assert not first.visible[2].any()
    assert first.visible[:2].all()
    second = maps.at("res4.nl0", (10.0, 10.0), image=1)
    assert not second.weights[:, 2].any()
    assert second.weights.sum() == pytest.approx(1)


def test_the_heads_blocks_see_the_regions_of_the_detections(detector):
    given = inputs((64, 96), (96, 64))
    kept = {}
    block = detector.roi_heads.keypoint_head.nl6
    handle = block.register_forward_pre_hook(lambda _, args: kept.update(x=args[0]))
    with record_attention(detector) as maps, torch.no_grad():
        found = [one["instances"] for one in detector(given)]
    handle.remove()
    assert [maps.is_in_roi_head(name) for name in maps.blocks] == [False] + [True] * 4
    assert len(found[1]) > 3
    regions = maps.rois(HEAD + "6", image=1)
    np.testing.assert_allclose(regions, found[1].pred_boxes.tensor, atol=1e-3)
    x0, y0, x1, y1 = regions[3]
    point = (x0 + (x1 - x0) * 5.5 / 14, y0 + (y1 - y0) * 9.5 / 14)
    seen = maps.at(HEAD + "6", point, image=1, roi=3)
    assert seen.position == (9, 5)
    assert seen.placement.box == pytest.approx((x0, y0, x1, y1))
    row = block.attention(kept["x"][len(found[0]) + 3 :][:1], (9, 5))[0]
    np.testing.assert_allclose(seen.weights, row.detach().numpy(), rtol=1e-5)
    image = seen.to_image()
    assert image[: int(y0)].sum() == image[:, : int(x0)].sum() == 0


def test_the_hooks_are_gone_on_every_exit(detector):
    before = hooks_of(detector)
    with record_attention(detector):
        assert hooks_of(detector) >= before + 7

    def failing() -> None:
        with record_attention(detector):
            raise KeyError("anything")

    assert hooks_of(detector) == before
    with pytest.raises(KeyError):
        failing()
    assert hooks_of(detector) == before
    block = NonLocalBlock(8)
    with pytest.raises(ValueError, match="expected"), record_attention(block):
        block(torch.randn(1, 7, 4, 4))  # the block's own error, of another width
    assert hooks_of(block) == 0


def test_maps_stay_after_the_with_and_do_not_change():
    block = NonLocalBlock(8)
    with record_attention(block) as maps:
        block(torch.rand(1, 8, 4, 4))
    before = maps.at("", (1.0, 1.0)).weights
    block(torch.rand(1, 8, 4, 4) * 5)
    np.testing.assert_array_equal(maps.at("", (1.0, 1.0)).weights, before)


def test_recording_changes_no_result(detector):
    given = inputs((64, 96))
    with torch.no_grad():
        plain = detector(copy.deepcopy(given))[0]["instances"]
        with record_attention(detector):
            watched = detector(copy.deepcopy(given))[0]["instances"]
    torch.testing.assert_close(plain.pred_keypoints, watched.pred_keypoints, rtol=0, atol=0)


def test_compiled_and_scripted_modules_are_refused():
    block = NonLocalBlock(8)
    for model in (torch.compile(block), nn.Sequential(torch.compile(nn.ReLU()), block)):
        with pytest.raises(ValueError, match="is compiled, and hooks do not run"):
            record_attention(model).__enter__()
    traced = torch.jit.trace(nn.ReLU(), torch.rand(1, 8, 4, 4))
    with pytest.raises(ValueError, match="is scripted"):
        record_attention(nn.Sequential(traced, NonLocalBlock(8))).__enter__()
    block.compile()
    with pytest.raises(ValueError, match="is compiled"):
        record_attention(block).__enter__()


def test_a_model_without_blocks_is_refused():
    with pytest.raises(ValueError, match="no non-local block"):
        record_attention(nn.Conv2d(3, 3, 1)).__enter__()


def test_wrong_questions_are_answered_with_what_there_is(detector):
    with record_attention(detector) as maps:
        with pytest.raises(ValueError, match="has not run since the recorder was set"):
            maps.at("res4.nl0", (0, 0))
        with torch.no_grad():
            detector(inputs((64, 96)))
    names = r"backbone\.bottom_up\.res4\.nl0, roi_heads\.keypoint_head\.nl2, .*nl8"
    with pytest.raises(ValueError, match=f"block='res5.nl0': no block of that name.*{names}"):
        maps.at("res5.nl0", (0, 0))
    with pytest.raises(ValueError, match=r"point \(32, 5\) is outside .* 32 x 32 pixels.*0..31"):
        maps.at("res4.nl0", (32, 5))
    with pytest.raises(ValueError, match="image=1; the last run had 1 images"):
        maps.at("res4.nl0", (0, 0), image=1)
    with pytest.raises(ValueError, match="gets whole images; leave roi out"):
        maps.at("res4.nl0", (0, 0), roi=0)
    with pytest.raises(ValueError, match="roi=99: block .*nl2 got 10 regions"):
        maps.at(HEAD + "2", (0, 0), roi=99)
    with pytest.raises(ValueError, match="roi=None"):
        maps.at(HEAD + "2", (0, 0))


def test_a_call_around_the_model_is_not_taken_for_a_run_of_it(detector):
    with record_attention(detector) as maps, torch.no_grad():
        detector(inputs((64, 96)))
        detector.inference(inputs((96, 96)))  # as test-time augmentation does
    with pytest.raises(ValueError, match="not by a call of the model"):
        maps.at("res4.nl0", (0, 0))
    with pytest.raises(ValueError, match="image=0; the last run had 0 images"):
        maps.rois(HEAD + "2")


def test_blocks_that_a_non_local_one_is_compared_with():
    shared, alone = GlobalContextBlock(8, bottleneck_ratio=0.5), PerPositionBlock(8)
    with record_attention(nn.Sequential(shared, alone)) as maps:
        maps.model(torch.randn(1, 8, 4, 4))
    first, second = (maps.at("0", point).weights for point in ((0, 0), (3, 3)))
    np.testing.assert_array_equal(first, second)
    assert first.sum() == pytest.approx(1)
    assert first.std() > 0
    with pytest.raises(ValueError, match="per-position block"):
        maps.at("1", (0, 0))


def test_a_grid_of_positions_is_spread_over_the_image_alone(detector):
    with record_attention(detector) as maps, torch.no_grad():
        detector(inputs((96, 64), (64, 96)))
    spread = maps.at_grid("res4.nl0")
    assert {one.position for one in spread} == {(i, j) for i in range(6) for j in range(4)}
    few = maps.at_grid("res4.nl0", image=1, most=7)
    assert {one.position for one in few} == {(i, j) for i in (0, 2) for j in (0, 2, 4)}
