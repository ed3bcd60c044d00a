"""The configs of the video models: the paper's tables, by parameters, places and recipe."""

import math

import pytest
import torch
from detectron2.config import CfgNode, get_cfg
from detectron2.modeling import build_model
from torchvision.models import ResNet50_Weights, ResNet101_Weights

from nonlocal_det.analysis import Cost
from nonlocal_det.analysis.module_costs import module_costs
from nonlocal_det.configs import config_hash, config_leaves, config_names, load_config
from nonlocal_det.detection import add_nonlocal_config
from nonlocal_det.layers import PerPositionBlock, nonlocal_blocks
from nonlocal_det.synthetic.flash_clips import FRAMES, LEVELS

ALL = [name.removeprefix("video/") for name in config_names() if name.startswith("video/")]
NAMES = [name for name in ALL if not name.startswith(("quick/", "reach/"))]  # the paper's
REACH = [name for name in ALL if name.startswith("reach/")]
KINETICS = [name for name in NAMES if not name.startswith("charades")]
FIVE = {"R50": ["res3.nl1", "res3.nl3", "res4.nl1", "res4.nl3", "res4.nl5"]}
FIVE["R101"] = ["res3.nl1", "res3.nl3", "res4.nl6", "res4.nl13", "res4.nl20"]
TEN = {"R50": [f"res3.nl{k}" for k in range(4)] + [f"res4.nl{k}" for k in range(6)]}
TEN["R101"] = TEN["R50"][:4] + [f"res4.nl{k}" for k in (2, 6, 10, 14, 18, 22)]
ONE = {"res2": "res2.nl1", "res3": "res3.nl2", "res5": "res5.nl1"}
PARAMETERS = {  # computed by hand: baseline, and with 1, 5 and 10 blocks
    "c2d_R50": (24_327_632, 26_428_368, 31_682_000, 39_036_368),
    "i3d_R50": (28_043_472, 30_144_208, 35_397_840, 42_752_208),
    "c2d_R101": (43_319_760, 45_420_496, 50_674_128, 58_028_496),
    "i3d_R101": (51_754_192, 53_854_928, 59_108_560, 66_462_928),
}
PARAMETERS_3X3X3 = {50: 33_433_808, 101: 63_042_768}


def on_meta(cfg: CfgNode) -> torch.nn.Module:
    cfg.MODEL.DEVICE = "meta"
    with torch.device("meta"):
        return build_model(cfg)


def blocks_of(name: str) -> list[str]:
    if "nl_" not in name:
        return []
    depth = "R101" if "R101" in name else "R50"
    for stage, place in ONE.items():
        if name.endswith(stage):
            return [place]
    if name.endswith("10blocks"):
        return TEN[depth]
    if name.endswith(("1block", "gaussian", "dot_product", "concatenation")):
        return ["res4.nl4" if depth == "R50" else "res4.nl21"]
    return FIVE[depth]


@pytest.mark.parametrize("name", NAMES)
def test_every_config_builds_with_the_blocks_its_name_says(name):
    model = on_meta(load_config(f"video/{name}"))
    assert list(nonlocal_blocks(model)) == [f"backbone.{place}" for place in blocks_of(name)]


@pytest.mark.parametrize("name", [name for name in KINETICS if name.endswith(("2x2", "blocks"))])
def test_parameters_are_those_counted_by_hand(name):
    model = on_meta(load_config(f"video/{name}"))
    column = (0, 1, None, None, None, 2, *[None] * 4, 3)[len(blocks_of(name))]
    expected = PARAMETERS["_".join(name.removeprefix("nl_").split("_")[:2])][column]
    assert sum(p.numel() for p in model.parameters()) == expected


@pytest.mark.parametrize("depth", [50, 101])
def test_a_3x3x3_inflation_has_the_parameters_counted_by_hand(depth):
    model = on_meta(load_config("video/i3d_R101_32x2_3x3x3", ["MODEL.RESNETS.DEPTH", str(depth)]))
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS_3X3X3[depth]


MULTIPLY_ADDS = {  # billions, of 8x224x224; pooled after theta, phi, g as in the text / before
    "c2d": {0: ("19.493",) * 2, 1: ("21.295", "20.678"), 5: ("30.704", "27.621"),
            10: ("41.914", "35.749")},
    "i3d": {0: ("28.408",) * 2, 1: ("30.209", "29.593"), 5: ("39.618", "36.535"),
            10: ("50.829", "44.663")},
}  # fmt: skip


def counted_by_hand(i3d: bool, after: list[list[int]], pool_before: bool) -> int:
    """Multiply-adds of an R50 with 5x7x7 or 1x7x7 in conv1, 400 classes, and blocks after these."""
    total = 8 * 112**2 * 64 * 3 * 49 * (5 if i3d else 1) + 2048 * 400
    channels, sides, times = 64, (56, 28, 14, 7), (8, 4, 4, 4)
    inflated = [(1, 1, 1), (1, 0, 1, 0), (1, 0, 1, 0, 1, 0), (0, 1, 0)]
    for stage, (side, time, of_stage) in enumerate(zip(sides, times, inflated, strict=True)):
        inner, positions = 64 * 2**stage, time * side**2
        for k, reaches in enumerate(of_stage):
            first = positions * (4 if stage and not k else 1)  # the stride is in the 3x3
            total += first * channels * inner * (3 if i3d and reaches else 1)  # conv1
            total += positions * inner * (9 * inner + 4 * inner)  # conv2, conv3
            if not k:
                total += positions * channels * 4 * inner  # shortcut
            channels = 4 * inner
        keys, half = time * (side // 2) ** 2, channels // 2  # 1x2x2 max pooling
        embedded = 2 * (keys if pool_before else positions)  # phi and g
        block = (2 * positions + embedded) * channels * half  # and theta, w_z
        block += 2 * positions * keys * half  # the two products with the affinities
        total += len(after[stage]) * block
    return total


@pytest.mark.parametrize("pool_before", [False, True])
@pytest.mark.parametrize("blocks", [0, 1, 5, 10])
@pytest.mark.parametrize("model", MULTIPLY_ADDS)
def test_multiply_adds_are_those_counted_by_hand(model, blocks, pool_before):
    after = {0: [[]] * 4, 1: [[], [], [4], []], 5: [[], [1, 3], [1, 3, 5], []]}
    places = after.get(blocks, [[], [0, 1, 2, 3], [0, 1, 2, 3, 4, 5], []])
    expected = counted_by_hand(model == "i3d", places, pool_before)
    assert f"{expected / 1e9:.3f}" == MULTIPLY_ADDS[model][blocks][pool_before]
    options = ["MODEL.VIDEO.STEM", "slowfast", "MODEL.NONLOCAL.SUBSAMPLE"]
    options += ["before" if pool_before else "after"]
    if blocks:
        options += ["MODEL.NONLOCAL.AFTER_BLOCKS", str(places)]

    name = f"video/{'nl_' if blocks else ''}{model}_R50_8x8"
    network = on_meta(load_config(name, options))

    def run(path):
        return network.logits(torch.empty(1, 3, 8, 224, 224))

    costs, _ = module_costs(network, run, None)
    assert sum(costs.values(), Cost()).multiply_adds == expected


@pytest.mark.parametrize("name", KINETICS)
def test_clips_and_recipe_are_what_the_name_says(name):
    cfg = load_config(f"video/{name}")
    frames, stride = next(p for p in name.split("_") if p[0].isdigit() and "x" in p).split("x")[:2]
    assert [cfg.INPUT.VIDEO.FRAMES, cfg.INPUT.VIDEO.STRIDE] == [int(frames), int(stride)]
    assert cfg.MODEL.VIDEO.STEM == ("fast" if name.endswith(("8x8", "32x4")) else "paper_code")
    frozen = name.endswith(("128x1", "32x4"))
    assert cfg.MODEL.RESNETS.NORM == ("FrozenBN" if frozen else "BN")
    assert cfg.TEST.PRECISE_BN.ENABLED is not frozen
    batch, rate = (16, 0.0025) if frozen else (64, 0.01)
    assert (cfg.SOLVER.IMS_PER_BATCH, cfg.SOLVER.BASE_LR) == (batch, rate)
    assert not cfg.MODEL.RESNETS.STRIDE_IN_1X1  # as in the weights, and in the authors' code
    if not frozen:
        weights = ResNet50_Weights if "R50" in name else ResNet101_Weights
        assert cfg.MODEL.WEIGHTS == weights.IMAGENET1K_V1.url
        mean, std = weights.IMAGENET1K_V1.transforms().mean, weights.IMAGENET1K_V1.transforms().std
        assert (cfg.MODEL.PIXEL_MEAN, cfg.MODEL.PIXEL_STD) == (
            pytest.approx([255 * x for x in mean]),
            pytest.approx([255 * x for x in std]),
        )
    assert cfg.SOLVER.NESTEROV
    assert cfg.SOLVER.WEIGHT_DECAY_NORM == 0
    if "nl_" in name:
        assert cfg.MODEL.NONLOCAL.NORM == ("" if frozen else "BN")


@pytest.mark.parametrize("name", [name for name in NAMES if "nl_" in name])
def test_blocks_attend_over_what_the_name_says(name):
    blocks = nonlocal_blocks(on_meta(load_config(f"video/{name}")))
    over = name.rsplit("_", 1)[1] if name.endswith(("space", "time")) else "spacetime"
    few = name.endswith(("128x1", "32x4"))  # the authors' models of 128 frames
    for place, block in blocks.items():
        assert block.options.over == over
        assert block.options.window == (4 if few and "res3" in place else 0)


@pytest.mark.parametrize("name", REACH)
def test_drawn_configs_are_what_their_names_say(name):
    kind, _, rest = name.removeprefix("reach/").rpartition("c2d" if "c2d" in name else "i3d")
    cfg = load_config(f"video/{name}")
    level = next(word for word in rest.split("_") if word in LEVELS)
    assert (*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST) == (
        f"flash_{level}_train",
        f"flash_{level}_test",
    )
    assert (cfg.MODEL.VIDEO.INFLATE, cfg.MODEL.VIDEO.NUM_CLASSES) == ("3x3x3" * ("i3d" in name), 2)
    assert list(cfg.MODEL.RESNETS.OUT_FEATURES) == ["res4" if "long" in name else "res2"]
    assert cfg.INPUT.VIDEO.FRAMES == FRAMES
    blocks = nonlocal_blocks(on_meta(cfg))
    assert list(blocks) == (["backbone.res2.nl0"] if kind else [])
    for block in blocks.values():
        assert isinstance(block, PerPositionBlock) == (kind == "control_")
        over = name.rsplit("_", 1)[1] if name.endswith(("space", "time")) else "spacetime"
        assert (block.options.over, block.options.window) == (over, 4 * name.endswith("window"))


@pytest.mark.parametrize("windows", [[4, 4], [0, -1, 0, 0]])
def test_windows_are_given_for_each_stage(windows):
    with pytest.raises(ValueError, match=r"MODEL.VIDEO.WINDOW=.*; expected time steps for each"):
        on_meta(load_config("video/nl_i3d_R50_8x8", ["MODEL.VIDEO.WINDOW", str(windows)]))


def test_charades_has_its_classes_and_its_larger_crop():
    for name in NAMES:
        if not name.startswith("charades"):
            continue
        cfg = load_config(f"video/{name}")
        video, model = cfg.INPUT.VIDEO, cfg.MODEL.VIDEO
        assert (model.NUM_CLASSES, model.LOSS, cfg.TEST.MERGE_VIEWS) == (157, "sigmoid", "max")
        assert (video.CROP, video.TEST_SIZE, video.FRAMES) == (288, 320, 128)
        for size, of_kinetics in ((video.MIN_SIZE_TRAIN, 256), (video.MAX_SIZE_TRAIN, 320)):
            assert math.isclose(size, of_kinetics * 288 / 224, abs_tol=0.6)
        assert cfg.MODEL.WEIGHTS == f"output/{name.removeprefix('charades_')}/model_final.pth"


def test_a_dumped_config_is_loaded_again(tmp_path):
    cfg = load_config("video/nl_i3d_R50_32x2", ["INPUT.VIDEO.FRAMES", "16"])
    (tmp_path / "config.yaml").write_text(cfg.dump())
    again = load_config(str(tmp_path / "config.yaml"))
    assert dict(config_leaves(again)) == dict(config_leaves(cfg))
    assert config_hash(again) == config_hash(cfg)


def test_the_video_keys_are_those_of_video_files_only(tmp_path):
    cfg = load_config("nl_mask_rcnn_R50")
    assert "VIDEO" not in cfg.MODEL
    assert "VIDEO" not in cfg.INPUT
    (tmp_path / "config.yaml").write_text(cfg.dump())
    plain = get_cfg()
    add_nonlocal_config(plain)
    plain.merge_from_file(str(tmp_path / "config.yaml"))
    with pytest.raises(ValueError, match=r"the command line: there is no config key INPUT\.VIDEO"):
        load_config("nl_mask_rcnn_R50", ["INPUT.VIDEO.FRAMES", "8"])
    with pytest.raises(ValueError, match=r"did you mean INPUT\.VIDEO\.STRIDE"):
        load_config("video/c2d_R50_32x2", ["INPUT.VIDEO.STRIDES", "8"])


@pytest.mark.parametrize(
    ("options", "stem", "stride_in_1x1"),
    [
        ([], "paper_code", False),
        (["MODEL.VIDEO.PRESET", "paper"], "paper_text", True),
        (["MODEL.VIDEO.PRESET", "authors_code"], "paper_code", False),
        (["MODEL.VIDEO.PRESET", "slowfast"], "slowfast", False),
        (["MODEL.VIDEO.PRESET", "slowfast", "MODEL.VIDEO.STEM", "no_pool2"], "no_pool2", False),
    ],
)
def test_a_preset_sets_what_differs_and_a_key_beside_it_counts(options, stem, stride_in_1x1):
    cfg = load_config("video/c2d_R50_32x2", options)
    assert (cfg.MODEL.VIDEO.STEM, cfg.MODEL.RESNETS.STRIDE_IN_1X1) == (stem, stride_in_1x1)
    assert cfg.MODEL.VIDEO.PRESET == ""  # a dump of the config has the keys
    strides = [conv.stride[1] for conv in (on_meta(cfg).backbone.res3[0]).children()][:2]
    assert strides == ([2, 1] if stride_in_1x1 else [1, 2])


def test_an_unknown_preset_and_one_that_nobody_applied_are_refused():
    with pytest.raises(ValueError, match="PRESET='caffe'; expected one of 'paper', 'authors_code'"):
        load_config("video/c2d_R50_32x2", ["MODEL.VIDEO.PRESET", "caffe"])
    cfg = load_config("video/c2d_R50_32x2")
    cfg.MODEL.VIDEO.PRESET = "slowfast"
    with pytest.raises(ValueError, match="has not been applied; load the config by"):
        on_meta(cfg)
