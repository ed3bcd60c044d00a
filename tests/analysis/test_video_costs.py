"""Networks for clips against hand counts, and the paper's statements on their costs."""

import json

import pytest

from nonlocal_det.analysis import video_costs
from nonlocal_det.analysis.cost_tables import memory_table, ratio_table
from nonlocal_det.analysis.video_costs import AFTER, BEFORE, MEMORY, RATIOS
from nonlocal_det.cli import analyze
from nonlocal_det.configs import load_config

TEN_101 = [[], [0, 1, 2, 3], [2, 6, 10, 14, 18, 22], []]
TEN_50 = [[], [0, 1, 2, 3], [0, 1, 2, 3, 4, 5], []]


def costs(name, *options, memory=False):
    return video_costs(load_config(f"video/{name}", list(map(str, options))), name, memory=memory)


@pytest.mark.parametrize(
    ("name", "options", "giga"),
    [  # by hand: output positions times kernel times channels, plus P Q Ci twice a block
        ("c2d_R50_32x2", (), 20.437),
        ("i3d_R50_32x2", (), 33.128),
        ("i3d_R101_32x2_3x3x3", (), 62.261),
        ("c2d_R101_128x1", (), 141.142),
        ("nl_c2d_R50_32x2_1block", BEFORE, 21.622),
        ("nl_c2d_R50_32x2_1block", AFTER, 22.239),
        ("nl_i3d_R50_32x2", BEFORE, 41.256),
        ("nl_i3d_R50_32x2", AFTER, 44.339),
        ("nl_c2d_R50_32x2", ("MODEL.NONLOCAL.AFTER_BLOCKS", TEN_50, *AFTER), 42.858),
        ("nl_i3d_R101_32x2", ("MODEL.NONLOCAL.AFTER_BLOCKS", TEN_101, *BEFORE), 67.932),
        ("nl_i3d_R50_128x1", ("MODEL.VIDEO.WINDOW", [0, 0, 0, 0], *BEFORE), 200.897),
    ],
)
def test_multiply_adds_are_those_counted_by_hand(name, options, giga):
    found = costs(name, "MODEL.VIDEO.STEM", "paper_text", *options)
    assert found.total.multiply_adds / 1e9 == pytest.approx(giga, abs=5e-4)
    blocks = found.all_blocks
    assert (found.extra > 0) == name.startswith("nl")
    assert blocks.parameters == sum(cost.parameters for cost in found.blocks.values())


def test_windows_cost_less_and_a_block_before_pooling_what_its_formula_says():
    whole = costs("nl_i3d_R50_128x1", "MODEL.VIDEO.WINDOW", [0, 0, 0, 0]).blocks
    windows = costs("nl_i3d_R50_128x1").blocks
    name = "backbone.res3.nl1"
    p, q, c, d = 16 * 28 * 28, 16 * 14 * 14, 512, 256
    projections = p * c * d * 2 + q * c * d * 2  # theta and w_z; phi and g of the pooled map
    assert whole[name].multiply_adds == projections + 2 * p * q * d
    assert windows[name].multiply_adds == projections + 2 * p * q // 4 * d
    assert whole["backbone.res4.nl1"] == windows["backbone.res4.nl1"]


def test_a_test_costs_its_views():
    found = costs("nl_c2d_R50_8x8", "INPUT.VIDEO.TEST_SIZE", 224, memory=True)
    assert str(found.views) == "30 of 8x224x224"
    assert found.test.multiply_adds == 30 * found.total.multiply_adds
    assert found.test.largest_bytes == 30 * found.total.largest_bytes
    options = ("INPUT.VIDEO.TEST_CROPS", 0, "TEST.VIEWS_PER_BATCH", 4)
    found = costs("c2d_R50_8x8", *options, memory=True)
    assert str(found.views) == "10 of 8x256x341"
    every = costs("c2d_R50_8x8", *options[:2], memory=True)
    assert found.test.multiply_adds == every.test.multiply_adds
    assert found.test.largest_bytes == 4 * 64 * 8 * 128 * 171 * 4  # conv1's map of 4 views


@pytest.fixture(scope="module")
def ratios():
    rows = [(label, a, b, costs(name, *options)) for name, options, label, a, b in RATIOS]
    return list(ratio_table(rows, costs("c2d_R101_32x2")).rows)


def test_the_papers_ratios_hold_if_pooled_before_phi_and_g_and_not_after(ratios):
    assert [(row[0].split(",")[0], row[3], row[6]) for row in ratios] == [
        ("I3D 3x1x1 / C2D", "yes", "yes"),
        ("I3D 3x3x3 / C2D", "yes", "yes"),
        ("NL C2D / C2D", "yes", "yes"),
        ("NL C2D / C2D", "yes", "no"),
        ("5-block R50 / R101", "yes", "yes"),
        ("5-block R50 / R101", "yes", "no"),
    ]
    flops = [float(row[4]) for row in ratios]
    assert flops == pytest.approx([1.464, 1.763, 1.232, 1.320, 0.808, 0.896], abs=6e-3)


def test_ten_blocks_at_128_frames_need_less_than_one_dense_block_of_every_pair_at_32():
    rows = [(label, costs(n, *options, memory=True)) for n, options, label in MEMORY]
    ten, every_pair, pooled, res3 = (c.all_blocks.saved_bytes for _, c in rows)
    affinity = 4 * (8 * 55 * 55) ** 2  # bytes of f, P x P in float32
    assert ten < 800 * 2**20 < affinity < every_pair
    assert res3 < pooled < every_pair
    verdicts = [row[2] for row in memory_table(rows).rows]
    assert verdicts[:2] == ["-", "yes"]
    assert verdicts[3] == "no"


def test_the_command_compares_all_video_configs(monkeypatch):
    monkeypatch.setattr(analyze, "config_names", lambda: ["video/quick/i3d_R18", "mask_rcnn_R50"])
    monkeypatch.setattr(analyze, "RATIOS", RATIOS[:1])
    monkeypatch.setattr(analyze, "MEMORY", MEMORY[-1:])

    def document(*words):
        return analyze.cost_document(analyze.build_parser().parse_args(words))

    text = document("--all", "video", "--format", "markdown")
    assert "| quick/i3d_R18 " in text
    assert "| I3D 3x1x1 / C2D, R101 (2e) |" in text
    data = json.loads(document("--all", "video", "--format", "json"))
    assert data["configs"][0]["test"]["multiply_adds"] > 0
    assert "1 dense block in res3, 32 frames, pooled" in data["compared"]
    text = document("--config-file", "video/quick/i3d_R18")
    assert "A test, " in text
    with pytest.raises(ValueError, match="--proposals 5: video/quick/i3d_R18 is a network for cl"):
        document("--config-file", "video/quick/i3d_R18", "--proposals", "5")
