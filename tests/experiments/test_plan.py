import re
from pathlib import Path

import pytest

from nonlocal_det.configs import load_config
from nonlocal_det.experiments.plan import make_plan, parse_grid, parse_seeds
from nonlocal_det.experiments.suites import find_suite


def test_table_5_and_6_have_the_papers_models_and_differences():
    table5, table6 = find_suite("table5"), find_suite("table6")
    assert table5.configs == tuple(
        name
        for net in ("R50", "R101", "X152")
        for name in (f"mask_rcnn_{net}", f"nl_mask_rcnn_{net}")
    )
    assert table6.configs == (
        *("keypoint_rcnn_R101", "nl_keypoint_rcnn_R101_head", "nl_keypoint_rcnn_R101"),
    )
    # from the paper's two tables, by hand: 39.0 - 38.0, 59.9 - 58.1, 72.8 - 70.4 and so on
    assert [pair.paper["box AP"] for pair in table5.pairs] == [1.0, 1.3, 0.9]
    assert [pair.paper["mask AP50"] for pair in table5.pairs] == [1.6, 1.8, 1.2]
    assert [pair.paper["keypoint AP"] for pair in table6.pairs] == [0.9, 1.4]
    assert [pair.paper["keypoint AP75"] for pair in table6.pairs] == [1.3, 2.4]
    assert all(pair.paper == {} for pair in find_suite("quick").pairs)


@pytest.mark.parametrize(
    ("suite", "only", "configs"),
    [
        ("table5", "R101", ["mask_rcnn_R101", "nl_mask_rcnn_R101"]),
        ("table6", "head", ["keypoint_rcnn_R101", "nl_keypoint_rcnn_R101_head"]),
        # a whole name is only that model, and none in res2
        ("long-range", "nl_beacon_R18", ["beacon_R18", "nl_beacon_R18", "control_beacon_R18"]),
        (
            "long-range",
            "long_range/gcnet_pairs_R18,nl_beacon_R18",
            ["beacon_R18", "nl_beacon_R18", "control_beacon_R18", "pairs_R18", "gcnet_pairs_R18"],
        ),
        ("long-range", "beacon", ["beacon_R18", "control_beacon_R18", "nl_beacon_R18"]),
    ],
)
def test_only_keeps_names_or_a_question_with_their_baselines(suite, only, configs):
    found = find_suite(suite, only).configs
    assert [name.removeprefix("long_range/") for name in found] == configs


def test_runs_go_seed_by_seed_next_to_their_baselines():
    plan = make_plan("table5", seeds="1,7", only="R50", overrides=["SOLVER.IMS_PER_BATCH", "2"])
    assert [(run.config, run.seed) for run in plan.runs] == [
        *(("mask_rcnn_R50", 1), ("nl_mask_rcnn_R50", 1)),
        *(("mask_rcnn_R50", 7), ("nl_mask_rcnn_R50", 7)),
    ]
    assert plan.runs[3].folder == Path("output/reproduce/table5-1x/nl_mask_rcnn_R50/seed7")
    assert plan.command == (
        "python tools/reproduce.py --suite table5 --seeds 1,7 --schedule 1x --only R50 "
        "--output output/reproduce/table5-1x SOLVER.IMS_PER_BATCH 2"
    )
    command = " ".join(plan.runs[3].arguments())
    assert command.startswith("--config-file nl_mask_rcnn_R50 SEED 7 OUTPUT_DIR output/")
    assert "--resume" not in command


@pytest.mark.parametrize(
    ("suite", "schedule", "iterations", "steps"),
    [
        ("table6", "1x", 90000, (60000, 80000)),  # Detectron2's
        ("table6", "3x", 270000, (210000, 250000)),
        ("quick", None, 400, (290, 365)),  # its own
    ],
)
def test_a_schedule_changes_only_iterations_and_steps(suite, schedule, iterations, steps):
    plan = make_plan(suite, schedule=schedule)
    for name, cfg in plan.configs.items():
        assert (cfg.SOLVER.MAX_ITER, cfg.SOLVER.STEPS) == (iterations, steps)
        own = load_config(name).SOLVER
        assert (cfg.SOLVER.BASE_LR, cfg.SOLVER.IMS_PER_BATCH) == (own.BASE_LR, own.IMS_PER_BATCH)
        assert cfg.TEST.EXPECTED_RESULTS == []


def test_the_users_options_win_and_change_the_hash():
    plain, changed = (
        make_plan("quick", overrides=options) for options in ([], ["SOLVER.MAX_ITER", "7"])
    )
    assert [run.iterations for run in changed.runs[:2]] == [7, 7]
    short = make_plan("table5", overrides=["SOLVER.MAX_ITER", "7"]).runs[0].arguments()
    assert short.count("SOLVER.MAX_ITER") == short.count("SOLVER.STEPS") == 1
    assert short[short.index("SOLVER.MAX_ITER") + 1] == "7"
    assert plain.runs[0].config_hash != changed.runs[0].config_hash
    assert plain.runs[0].config_hash == plain.runs[2].config_hash  # the seed does not count
    assert plain.runs[0].config_hash != plain.runs[1].config_hash


@pytest.mark.parametrize(
    ("parse", "text", "values"),
    [
        *((parse_seeds, "3", (1, 2, 3)), (parse_seeds, "1,5,7", (1, 5, 7))),
        *((parse_seeds, "5,", (5,)), (parse_seeds, "0, 2", (0, 2))),
        *((parse_grid, "0.04,0.01", (0.01, 0.04)), (parse_grid, "1", (1.0,))),
    ],
)
def test_seeds_are_a_count_or_a_list_and_rates_a_list(parse, text, values):
    assert parse(text) == values


@pytest.mark.parametrize(
    ("parse", "option", "text"),
    [
        *(
            (parse_seeds, "--seeds", text)
            for text in ("", "0", "-1", "1,1", "a", "1,,2", "1.5", ",", "1,2147483648")
        ),
        *(
            (parse_grid, "--lr-grid", text)
            for text in ("", "a", "0", "-1", "0.1,0.1", "nan", "inf")
        ),
    ],
)
def test_bad_seeds_and_rates_are_refused(parse, option, text):
    with pytest.raises(ValueError, match=f"{option} {re.escape(repr(text))}; expected"):
        parse(text)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"suite": "table7"}, ["'table7'", "table5, table6, quick, long-range"]),
        ({"suite": "table5", "only": "R18"}, ["--only 'R18'", "nl_mask_rcnn_X152"]),
        ({"suite": "table5", "only": "R50,R18"}, ["--only 'R18'", "nl_mask_rcnn_X152"]),
        ({"suite": "table5", "only": "R50,"}, ["--only ''", "nl_mask_rcnn_X152"]),
        ({"suite": "table5", "schedule": "2x"}, ["--schedule '2x'", "1x, 3x"]),
        ({"schedule": "1x"}, ["--suite quick", "SOLVER.MAX_ITER"]),
        ({"overrides": ["SEED", "4"]}, ["SEED cannot", "--seeds"]),
        ({"overrides": ["MODEL.BACKBONE.NAME", "x"]}, ["its baseline differ"]),
        ({"overrides": ["SOLVER.MAX_ITERS", "4"]}, ["did you mean SOLVER.MAX_ITER,"]),
        ({"overrides": ["SOLVER.MAX_ITER"]}, ["'SOLVER.MAX_ITER' has no partner"]),
        ({"overrides": ["SOLVER.MAX_ITER", "x y"]}, ["the command line"]),
        ({"overrides": ["SEED", "--dry-run"]}, ["--dry-run comes after"]),
        ({"choose_lr": True}, ["--suite quick", "no split to choose"]),
        ({"lr_grid": "0.1"}, ["--lr-grid '0.1' without --choose-lr"]),
        ({"suite": "long-range", "schedule": "1x"}, ["--suite long-range", "schedule of its own"]),
        ({"suite": "long-range", "seeds": "1,1000"}, ["chosen under seed 1000"]),
        ({"suite": "long-range", "choose_lr": True, "seeds": "3"}, ["--seeds '3' with --choose"]),
        (
            {"suite": "long-range", "choose_lr": True, "overrides": ["SOLVER.BASE_LR", "1"]},
            ["give the rates as --lr-grid"],
        ),
    ],
)
def test_bad_requests_are_refused_before_anything_runs(arguments, words):
    with pytest.raises(ValueError) as error:
        make_plan(**{"suite": "quick", **arguments})
    assert all(word in str(error.value) for word in words), str(error.value)
