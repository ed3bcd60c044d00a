import pytest
import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling.roi_heads.keypoint_head import (
    KRCNNConvDeconvUpsampleHead,
    build_keypoint_head,
)
from detectron2.structures import Boxes, Instances, Keypoints
from detectron2.utils.events import EventStorage
from small_models import small_config

from nonlocal_det.detection import NonLocalKRCNNConvDeconvUpsampleHead
from nonlocal_det.layers import nonlocal_blocks

ROI = ShapeSpec(channels=16, height=14, width=14)


def head(after_convs=(2, 4, 6, 8), cls=NonLocalKRCNNConvDeconvUpsampleHead):
    options = {"after_convs": after_convs} if cls is NonLocalKRCNNConvDeconvUpsampleHead else {}
    return cls(ROI, num_keypoints=17, conv_dims=[16] * 8, **options)


def test_blocks_follow_every_second_convolution_and_its_relu():
    names = [name for name, _ in head().named_children()]
    assert names[:6] == [
        "conv_fcn1", "conv_fcn_relu1", "conv_fcn2", "conv_fcn_relu2", "nl2", "conv_fcn3",
    ]  # fmt: skip
    assert [n for n in names if n.startswith("nl")] == ["nl2", "nl4", "nl6", "nl8"]
    assert names[-2:] == ["nl8", "score_lowres"]


def test_other_names_are_the_baselines_and_so_is_the_output_at_first():
    baseline, model = head(cls=KRCNNConvDeconvUpsampleHead), head()
    left = model.load_state_dict(baseline.state_dict(), strict=False)
    assert left.unexpected_keys == []
    assert {key.split(".")[0] for key in left.missing_keys} == {"nl2", "nl4", "nl6", "nl8"}
    x = torch.randn(3, 16, 14, 14)
    assert torch.equal(model.layers(x), baseline.layers(x))
    assert model.layers(x).shape == (3, 17, 56, 56)


def test_no_rois_give_no_heat_maps_and_no_keypoints():
    model = head().eval()
    assert model.layers(torch.zeros(0, 16, 14, 14)).shape == (0, 17, 56, 56)
    empty = Instances((100, 100), pred_boxes=Boxes(torch.zeros(0, 4)))
    (result,) = model(torch.zeros(0, 16, 14, 14), [empty])
    assert result.pred_keypoints.shape == (0, 17, 3)


def test_no_rois_in_training_give_a_loss_of_zero_with_gradients():
    model = head().train()
    empty = Instances(
        (100, 100),
        proposal_boxes=Boxes(torch.zeros(0, 4)),
        gt_keypoints=Keypoints(torch.zeros(0, 17, 3)),
    )
    with EventStorage():
        loss = model(torch.zeros(0, 16, 14, 14), [empty])["loss_keypoint"]
    loss.backward()
    assert loss == 0
    assert model.nl2.w_z.weight.grad is not None  # DDP waits for every parameter's gradient


def test_blocks_differ_from_one_another_and_follow_the_seed():
    torch.manual_seed(5)
    first = head()
    torch.manual_seed(5)
    again = head()
    assert torch.equal(first.nl2.theta.weight, again.nl2.theta.weight)
    assert not torch.equal(first.nl2.theta.weight, first.nl4.theta.weight)
    torch.manual_seed(6)
    assert not torch.equal(first.nl2.theta.weight, head().nl2.theta.weight)


def test_each_block_is_as_wide_as_the_convolution_it_follows():
    model = NonLocalKRCNNConvDeconvUpsampleHead(
        ROI, num_keypoints=3, conv_dims=[8, 24, 8, 32], after_convs=[2, 4]
    )
    assert (model.nl2.in_channels, model.nl4.in_channels) == (24, 32)
    assert model.layers(torch.zeros(1, 16, 14, 14)).shape == (1, 3, 56, 56)


def test_config_says_where_the_blocks_go():
    cfg = small_config()
    cfg.MODEL.NONLOCAL.KEYPOINT_AFTER_CONVS = [1, 8]
    cfg.MODEL.NONLOCAL.PAIRWISE = "concatenation"
    model = build_keypoint_head(cfg, ROI)
    assert list(nonlocal_blocks(model)) == ["nl1", "nl8"]
    assert model.nl8.pairwise == "concatenation"
    assert model.nl8.in_channels == 64


@pytest.mark.parametrize(
    ("after_convs", "words"),
    [
        ([0], ["KEYPOINT_AFTER_CONVS=[0]", "8 convolutions", "1..8"]),
        ([2, 9], ["[9] do not exist", "1..8"]),
        ([2, 2], ["twice"]),
        ([], ["without a non-local block", "KRCNNConvDeconvUpsampleHead"]),
    ],
)
def test_impossible_positions_are_refused(after_convs, words):
    with pytest.raises(ValueError) as error:
        head(after_convs)
    assert all(word in str(error.value) for word in words), str(error.value)
