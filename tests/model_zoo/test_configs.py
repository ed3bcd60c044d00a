"""Every config builds; baselines are Detectron2's; models differ from theirs only where allowed."""

import pytest
import torch
from detectron2 import model_zoo as upstream
from detectron2.config import CfgNode
from detectron2.modeling import build_model

from nonlocal_det import model_zoo
from nonlocal_det.layers import nonlocal_blocks
from nonlocal_det.model_zoo.rows import load_rows

NAMES = [name for name in model_zoo.config_names() if not name.startswith("video/")]
RES4 = {
    "R50": "backbone.bottom_up.res4.nl4",
    "R101": "backbone.bottom_up.res4.nl21",
    "X152": "backbone.bottom_up.res4.nl34",
    "R18": "backbone.bottom_up.res4.nl0",
}
HEAD = [f"roi_heads.keypoint_head.nl{k}" for k in (2, 4, 6, 8)]
STAGE = "backbone.bottom_up.res"
OURS = ("MODEL.NONLOCAL.", "TEST.MAX_DETS")
SCHEDULE = {"SOLVER.STEPS", "SOLVER.MAX_ITER"}
VIDEO = {  # by the end of a name: what the authors change beside the blocks
    "128x1": {"MODEL.VIDEO.WINDOW", "MODEL.WEIGHTS"},  # each starts from its own shorter model
    "32x4": {"MODEL.VIDEO.WINDOW"},
    "window": {"MODEL.VIDEO.WINDOW"},
    "time": SCHEDULE,  # learns later than with reach in space too
}

BLOCKS = {
    "nl_mask_rcnn_R50": [RES4["R50"]],
    "nl_mask_rcnn_R101": [RES4["R101"]],
    "nl_mask_rcnn_X152": [RES4["X152"]],
    "nl_keypoint_rcnn_R50_head": HEAD,
    "nl_keypoint_rcnn_R101_head": HEAD,
    "nl_keypoint_rcnn_R50": [RES4["R50"], *HEAD],
    "nl_keypoint_rcnn_R101": [RES4["R101"], *HEAD],
    "quick/nl_mask_keypoint_rcnn_R18": [RES4["R18"], *HEAD],
    "ablations/nl_mask_rcnn_R50_gaussian": [RES4["R50"]],
    "ablations/nl_mask_rcnn_R50_dot_product": [RES4["R50"]],
    "ablations/nl_mask_rcnn_R50_concatenation": [RES4["R50"]],
    "ablations/nl_mask_rcnn_R50_authors_code": [RES4["R50"]],
    "ablations/nl_mask_rcnn_R50_paper_text": [RES4["R50"]],
    "ablations/nl_mask_rcnn_R50_res2": [STAGE + "2.nl1"],
    "ablations/nl_mask_rcnn_R50_res3": [STAGE + "3.nl2"],
    "ablations/nl_mask_rcnn_R50_res5": [STAGE + "5.nl1"],
    "ablations/nl_mask_rcnn_R50_5blocks": [
        *(f"{STAGE}3.nl{k}" for k in (1, 3)),
        *(f"{STAGE}4.nl{k}" for k in (1, 3, 5)),
    ],
    "ablations/nl_mask_rcnn_R50_10blocks": [
        *(f"{STAGE}3.nl{k}" for k in range(4)),
        *(f"{STAGE}4.nl{k}" for k in range(6)),
    ],
}
LONG_RANGE = {  # by the model's name without its role: its control has its blocks
    **dict.fromkeys(("beacon_R18", "beacon_wide_R18", "pairs_R18", "local_R18"), [RES4["R18"]]),
    **{
        f"beacon_R18_{what}": [RES4["R18"]]
        for what in ("gaussian", "dot_product", "concatenation", "unsubsampled")
    },
    **{f"beacon_R18_res{stage}": [f"{STAGE}{stage}.nl0"] for stage in (2, 3)},
    "beacon_wide_R18_res5": [STAGE + "5.nl0"],
    "beacon_deep_R50": [RES4["R50"]],
    "beacon_deep_R50_5blocks": BLOCKS["ablations/nl_mask_rcnn_R50_5blocks"],
    "beacon_deep_R50_10blocks": BLOCKS["ablations/nl_mask_rcnn_R50_10blocks"],
    **{f"{level}_R18_head": HEAD for level in ("pose", "pose_short")},
    **{"pose_R18_res4": [STAGE + "4.nl0"], "pose_R18": [STAGE + "4.nl0", *HEAD]},
    **{"pose_short_R18_res2": [STAGE + "2.nl0"], "pose_short_R18": [STAGE + "2.nl0", *HEAD]},
}
BLOCKS |= {
    f"long_range/{role}_{name}": blocks
    for name, blocks in LONG_RANGE.items()
    for role in ("nl", "control", "gcnet")
}


def flat(node: CfgNode, prefix: str = "") -> dict[str, object]:
    items: dict[str, object] = {}
    for key, value in node.items():
        if isinstance(value, CfgNode):
            items |= flat(value, f"{prefix}{key}.")
        else:
            items[prefix + key] = value
    return items


def differing(a: CfgNode, b: CfgNode) -> set[str]:
    one, other = flat(a), flat(b)
    return {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}


@pytest.mark.parametrize("name", NAMES)
def test_every_config_builds_with_the_blocks_its_name_says(name):
    cfg = model_zoo.get_config(name)
    cfg.MODEL.DEVICE = "meta"
    with torch.device("meta"):
        model = build_model(cfg)
    assert list(nonlocal_blocks(model)) == BLOCKS.get(name, [])


@pytest.mark.parametrize(
    ("name", "theirs", "allowed"),
    [
        ("mask_rcnn_R50", "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x", set()),
        # Detectron2 has these with its 3x schedule only
        ("mask_rcnn_R101", "COCO-InstanceSegmentation/mask_rcnn_R_101_FPN_3x", SCHEDULE),
        ("keypoint_rcnn_R50", "COCO-Keypoints/keypoint_rcnn_R_50_FPN_1x", set()),
        ("keypoint_rcnn_R101", "COCO-Keypoints/keypoint_rcnn_R_101_FPN_3x", SCHEDULE),
        # it has no Mask R-CNN with X152: this is its X101 with X152's depth and weights, whose
        # first layer has absorbed the standard deviation of the pixels
        (
            "mask_rcnn_X152",
            "COCO-InstanceSegmentation/mask_rcnn_X_101_32x8d_FPN_3x",
            SCHEDULE | {"MODEL.RESNETS.DEPTH", "MODEL.WEIGHTS", "MODEL.PIXEL_STD"},
        ),
    ],
)
def test_baselines_are_detectron2s_key_by_key(name, theirs, allowed):
    ours = model_zoo.get_config(name, device="cuda")  # their default
    found = {
        key
        for key in differing(ours, upstream.get_config(theirs + ".yaml"))
        if not key.startswith(OURS)
    }
    assert found == allowed


@pytest.mark.parametrize(
    "row", [r for r in load_rows() if r["baseline"]], ids=lambda r: r["config"]
)
def test_a_model_and_its_baseline_differ_only_where_they_should(row):
    found = differing(model_zoo.get_config(row["config"]), model_zoo.get_config(row["baseline"]))
    allowed = {"MODEL.BACKBONE.NAME", "MODEL.ROI_KEYPOINT_HEAD.NAME", "MODEL.META_ARCHITECTURE"}
    if row["config"].endswith("_res2"):
        allowed.add("MODEL.BACKBONE.FREEZE_AT")  # res2 is frozen otherwise
    if row["task"] in ("quick", "long-range", "video-quick"):
        allowed |= {"OUTPUT_DIR", "TEST.EXPECTED_RESULTS"}
    if row["task"] == "long-range":
        allowed.add("SOLVER.BASE_LR")  # each its own, chosen on val
    if row["config"].startswith("video/"):
        allowed |= VIDEO.get(row["config"].split("/")[-1].split("_")[-1], set())
        if "/i3d" in row["config"]:  # a C2D, inflated
            allowed.add("MODEL.VIDEO.INFLATE")
    names = {key for key in found if not key.startswith("MODEL.NONLOCAL.")}
    assert names
    assert names <= allowed


def scaled(name: str) -> set[bool]:
    cfg = model_zoo.get_config(name)
    cfg.MODEL.DEVICE = "meta"
    with torch.device("meta"):
        return {block.scale for block in nonlocal_blocks(build_model(cfg)).values()}


@pytest.mark.parametrize("name", [n for n in BLOCKS if not n.startswith("long_range/")])
def test_the_shipped_models_divide_their_scores(name):
    unscaled = ("dot_product", "concatenation", "paper_text")
    assert scaled(name) == {not name.endswith(unscaled)}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("long_range/nl_beacon_R18", False),
        ("long_range/nl_beacon_deep_R50_10blocks", True),
        ("long_range/nl_pose_R18", True),
    ],
)
def test_the_long_range_models_keep_the_form_they_were_measured_in(name, expected):
    assert scaled(name) == {expected}


def test_weights_are_names_of_detectron2s_catalogue():
    from detectron2.checkpoint.catalog import ModelCatalog

    for name in NAMES:
        weights = model_zoo.get_config(name).MODEL.WEIGHTS
        if name.startswith(("quick/", "long_range/")):
            assert weights == ""
        elif weights.startswith("catalog://"):
            assert ModelCatalog.get(weights.removeprefix("catalog://"))
        else:
            assert weights.startswith("detectron2://ImageNetPretrained/MSRA/R-")


def test_the_quickstart_fails_below_its_floors():
    expected = model_zoo.get_config("quick/nl_mask_keypoint_rcnn_R18").TEST.EXPECTED_RESULTS
    floors = {task: middle - tolerance for task, metric, middle, tolerance in expected}
    assert {metric for _, metric, _, _ in expected} == {"AP"}
    assert floors["bbox"] >= 55
    assert floors["segm"] >= 35
    assert floors["keypoints"] >= 55


@pytest.mark.parametrize(
    ("path", "suggestion"),
    [
        ("configs/nl_mask_rcn_R101.yaml", "did you mean nl_mask_rcnn_R101"),
        ("nl_mask_rcnn_R18", "nl_mask_rcnn_R101"),
        ("configs/nl_mask_rcnn_R50_gausian.yaml", "ablations/nl_mask_rcnn_R50_gaussian"),
        ("zzz", "model_zoo.md"),
    ],
)
def test_a_missing_config_suggests_near_names(path, suggestion):
    with pytest.raises(FileNotFoundError, match=f"{path}: no such file or config") as error:
        model_zoo.find_config(path)
    assert suggestion in str(error.value)


def test_names_and_paths_find_the_packaged_config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = model_zoo.get_config_file("nl_mask_rcnn_R101")
    for path in ("configs/nl_mask_rcnn_R101.yaml", "nl_mask_rcnn_R101", "nl_mask_rcnn_R101.yaml"):
        assert model_zoo.find_config(path) == expected
    own = tmp_path / "nl_mask_rcnn_R101.yaml"
    own.write_text("VERSION: 2\n")
    assert model_zoo.find_config(str(own)) == str(own)
