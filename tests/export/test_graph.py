import pytest
import torch
import torch.nn.functional as F
from detectron2.modeling import build_model
from detectron2.structures.keypoints import heatmaps_to_keypoints
from lively_model import lively_model, noise_images
from small_models import small_config

from nonlocal_det.export import DetectionGraph, compare, to_instances
from nonlocal_det.export.graph import portable_kernels
from nonlocal_det.export.steps import decode_keypoints, enlarge
from nonlocal_det.layers import nonlocal_blocks

NL = "quick/nl_mask_keypoint_rcnn_R18"


def run_graph(model):
    graph = DetectionGraph(model).eval()

    def run(image, threshold):
        with torch.no_grad():
            return dict(zip(graph.outputs, graph(image, torch.tensor(threshold)), strict=True))

    return run


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (NL, []),
        ("quick/mask_keypoint_rcnn_R18", ["MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG", True]),
        (NL, ["MODEL.ROI_HEADS.NUM_CLASSES", 3, "MODEL.KEYPOINT_ON", False]),
        (NL, ["MODEL.ROI_MASK_HEAD.CLS_AGNOSTIC_MASK", True, "TEST.DETECTIONS_PER_IMAGE", -1]),
        (NL, ["MODEL.META_ARCHITECTURE", "GeneralizedRCNN"]),  # its blocks look at the padding
        ("quick/mask_keypoint_rcnn_R18", ["MODEL.ROI_HEADS.IN_FEATURES", ["p3"]]),
    ],
)
def test_the_graph_finds_what_detectron2_finds(name, options):
    model = lively_model(name, *options)
    result = compare(model, run_graph(model), noise_images(), 0.01)
    assert result.images == 7  # six, and one again for no detection
    assert result.detections >= 18
    assert result.worst["boxes"] < 1e-4


def test_a_joint_is_where_detectron2_decodes_it():
    maps = torch.randn(4, 5, 14, 14) * 3
    boxes = torch.tensor([[0, 0, 30, 9], [2.2, 5.1, 2.9, 40.7], [1, 1, 1, 1], [-3, 4, 27.5, 91.2]])
    expected = heatmaps_to_keypoints(maps, boxes)[:, :, [0, 1, 3]]
    torch.testing.assert_close(decode_keypoints(maps, boxes), expected, rtol=1e-5, atol=1e-4)
    assert decode_keypoints(maps[:0], boxes[:0]).shape == (0, 5, 3)


@pytest.mark.parametrize("cells", [1, 7, 14, 15, 61])
def test_enlarging_is_bicubic_interpolation(cells):
    maps = torch.randn(1, 2, 14, 14)
    expected = F.interpolate(maps, (cells, 14), mode="bicubic", align_corners=False)
    matrix = enlarge(torch.tensor(float(cells)), maps)
    torch.testing.assert_close(matrix.sum(1), torch.ones(cells))
    torch.testing.assert_close(matrix @ maps, expected, rtol=1e-5, atol=1e-5)


def test_outputs_become_detectron2s_in_the_pictures_pixels():
    model = lively_model(NL, "MODEL.ROI_HEADS.SCORE_THRESH_TEST", 0.01)
    image = noise_images()[2]
    with torch.no_grad():
        (whole,) = model([{"image": image, "height": 48, "width": 70}])
    outputs = run_graph(model)(image, 0.01)
    found, expected = to_instances(outputs, (96, 131), 48, 70), whole["instances"]
    assert len(found) == len(expected) > 0
    assert torch.equal(found.pred_masks, expected.pred_masks)
    torch.testing.assert_close(found.pred_boxes.tensor, expected.pred_boxes.tensor)
    torch.testing.assert_close(found.pred_keypoints, expected.pred_keypoints, rtol=1e-5, atol=1e-4)


def test_kernels_are_portable_for_a_while():
    model = lively_model(NL, "MODEL.NONLOCAL.PAIRWISE", "concatenation")
    blocks = nonlocal_blocks(model).values()
    with portable_kernels(model):
        assert {block.kernel for block in blocks} == {"dense"}
    assert {block.kernel for block in blocks} == {"auto"}


def test_a_model_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="META_ARCHITECTURE is a Linear, which the export does"):
        DetectionGraph(torch.nn.Linear(1, 1))
    cascade = build_model(
        small_config(NL, "MODEL.ROI_HEADS.NAME", "CascadeROIHeads", "MODEL.KEYPOINT_ON", False,
                     "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG", True)
    )  # fmt: skip
    with pytest.raises(ValueError, match="ModuleList scores in another way"):
        DetectionGraph(cascade)
