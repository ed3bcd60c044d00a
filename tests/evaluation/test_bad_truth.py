"""Each kind of bad data is read alike by training, evaluation and error analysis.

Refused by name, or the right numbers: those of perfect detections of what is good.
"""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from damages import DAMAGES
from detectron2.data.datasets import register_coco_instances
from good_data import HEIGHT, NAMES, WIDTH, Damage, GoodData
from pycocotools import mask as mask_utils
from small_models import small_config

from nonlocal_det.cli import visualize_data
from nonlocal_det.data import build_test_loader, build_train_stream
from nonlocal_det.data.check import ISSUE_TYPES
from nonlocal_det.data.check.issue_types import SAME
from nonlocal_det.evaluation import analyze_files, build_evaluator
from nonlocal_det.training.checks import check_data, check_test_data

TASKS = ("bbox", "segm", "keypoints")
OF_FILES = {kind for kind in ISSUE_TYPES if kind.startswith("image_")} - {
    *("image_malformed", "image_side_invalid", "image_id_type", "image_id_duplicate"),
    *("image_name_duplicate", "image_name_outside", "image_name_separator"),
}
"""Kinds that need the images, which an error analysis does not read."""
PREDICTIONS = {  # of the damaged object, where it is to be found otherwise than in the good data
    "box_over_edge": {"bbox": [23, 11, 41, 14]},
    "rle_as_polygon": {"segmentation": {"size": [HEIGHT, WIDTH], "counts": [10, 40, 48 * 64 - 50]}},
}


def perfect(data: GoodData, kind: str) -> list[dict[str, Any]]:
    """Each object as a detection; the worst scores for what will be damaged."""
    results = []
    for row in data.content["annotations"]:
        if row["iscrowd"]:
            continue
        last = row["image_id"] == 2 and kind.startswith("image_")
        score, changes = 0.01 if last else 0.9, {}
        if row is data.one:
            score, changes = 0.05, PREDICTIONS.get(kind, {})
        fields = ("image_id", "category_id", "bbox", "segmentation", "keypoints")
        result = {key: row[key] for key in fields} | {"score": score} | changes
        mask = mask_utils.frPyObjects(result["segmentation"], HEIGHT, WIDTH)
        mask = mask_utils.merge(mask) if isinstance(mask, list) else mask
        result["segmentation"] = {**mask, "counts": mask["counts"].decode()}
        results.append(result)
    return results


def config(**datasets: tuple[str, ...]):
    """Of a model with masks and keypoints, for the data set "damaged"."""
    options = [v for key, names in datasets.items() for v in (f"DATASETS.{key}", names)]
    options += ["MODEL.ROI_HEADS.NUM_CLASSES", 2, "TEST.KEYPOINT_OKS_SIGMAS", [0.05] * 3]
    options += ["MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS", 3, "INPUT.MIN_SIZE_TRAIN", (48,)]
    return small_config("quick/mask_keypoint_rcnn_R18", *options)


def trained() -> str:
    """Return why a training is refused; "" if it gets its images."""
    cfg = config(TRAIN=("damaged",), TEST=())
    try:
        check_data(cfg, train=True, allow_bad=False)
    except (ValueError, FileNotFoundError) as error:
        return str(error)
    batch = next(iter(build_train_stream(cfg)))
    assert all(sample["instances"].has("gt_masks") for sample in batch)
    assert all(sample["instances"].has("gt_keypoints") for sample in batch)
    return ""


def evaluated(results: list[dict[str, Any]], folder: Path) -> str | dict[str, float]:
    """Return why an evaluation is refused, or the AP of each task."""
    cfg = config(TRAIN=(), TEST=("damaged",))
    try:
        check_data(cfg, train=False, allow_bad=False)
    except (ValueError, FileNotFoundError) as error:
        return str(error)
    assert len(list(build_test_loader(cfg, "damaged"))) >= 3
    evaluator = build_evaluator(cfg, "damaged", str(folder))
    evaluator.reset()
    for number in {result["image_id"] for result in results}:
        own = [result for result in results if result["image_id"] == number]
        own = [{**result, "category_id": result["category_id"] - 1} for result in own]
        evaluator._predictions.append({"image_id": number, "instances": own})
    return {task: metrics["AP"] for task, metrics in evaluator.evaluate().items()}


def analysed(json_file: Path, results: list[dict[str, Any]], folder: Path) -> list[Any]:
    """Return of each task why it is refused, or AP and the number of missed objects."""
    path = folder / "results.json"
    path.write_text(json.dumps(results))
    outcomes: list[Any] = []
    for task in TASKS:
        try:
            analyze_files(json_file, path, task, json_path=folder / "analysis.json")
        except (ValueError, FileNotFoundError) as error:
            outcomes.append(str(error))
            continue
        numbers = json.loads((folder / "analysis.json").read_text())["this"]
        outcomes.append((numbers["summary"]["AP"]["value"], numbers["errors"]["missed"]["count"]))
    return outcomes


IDS = [f"{kind}-{k}" for k, (kind, _, _) in enumerate(DAMAGES)]


@pytest.mark.parametrize(("kind", "damage", "others"), DAMAGES, ids=IDS)
def test_all_readers_agree(
    good: GoodData, tmp_path: Path, messages, kind: str, damage: Damage, others: set[str]
) -> None:
    for category in good.content["categories"]:
        category |= {"flip_map": [["left", "right"]], "oks_sigmas": [0.05] * 3}
    results = perfect(good, kind)
    damage(good)
    good.write()
    names = {"keypoint_names": NAMES, "keypoint_flip_map": [("left", "right")]}
    register_coco_instances("damaged", names, str(good.json_file), str(good.root))

    kinds = {kind} | others
    uses = frozenset({"masks", "keypoints"})
    for_training = stopping(kinds, uses | {"raw keypoints"})
    for_evaluation = stopping(kinds - {"nothing_to_learn"}, uses | {"evaluation"})
    for_analysis = for_evaluation - OF_FILES
    assert_refused(trained(), for_training)
    outcome = evaluated(results, tmp_path)
    written = " ".join(what_evaluation_does(kind) for kind in (kind, *others))
    assert isinstance(outcome, str) == ("stops" in written)
    said = "\n".join(messages())
    rows = analysed(good.json_file, results, tmp_path)
    if kind == "nothing_to_learn":
        assert outcome == {} or all(map(math.isnan, outcome.values()))
        assert all(isinstance(row, str) or row[0] is None for row in rows)
        return
    if for_evaluation:
        assert_refused(outcome, for_evaluation)
    elif kind == "annotation_duplicate":  # the second of two equal objects can only be missed
        assert all(60 < ap < 100 for ap in outcome.values())
        assert [row[1] for row in rows] == [1, 1, 1]
    else:
        assert outcome == dict.fromkeys(TASKS, pytest.approx(100))
        assert ("the evaluation" in said) == ("says so" in written), said
    for task, row in zip(TASKS, rows, strict=True):
        own = stopping(for_analysis, frozenset({"evaluation", *USES[task]}))
        if own:
            assert_refused(row, own)
        elif kind == "image_size_wrong" and task == "segm":  # the results' masks have the file's
            assert "size=[48, 64]" in row
        elif kind != "annotation_duplicate" and not for_analysis:
            assert row == (pytest.approx(100), 0)


USES = {"bbox": set(), "segm": {"masks"}, "keypoints": {"keypoints"}}


def test_tools_that_only_read_data_refuse_it_by_name(good: GoodData, tmp_path: Path) -> None:
    for category in good.content["categories"]:
        category |= {"flip_map": [["left", "right"]], "oks_sigmas": [0.05] * 3}
    good.one["bbox"][2] *= -1
    data = ["--coco-data", "damaged", *map(str, good.write())]
    names = ["DATASETS.TRAIN", "('damaged',)", "DATASETS.TEST", "()"]
    command = ["--config-file", "quick/mask_keypoint_rcnn_R18", "--output-dir", str(tmp_path)]
    with pytest.raises(SystemExit, match="box_negative 1"):
        visualize_data.main([*command, *data, *names])
    with pytest.raises(ValueError, match="box_negative 1"):  # summaries and figures of test data
        check_test_data(config(TRAIN=(), TEST=("damaged",)))


def what_evaluation_does(kind: str) -> str:
    """Return what the table says."""
    issue = ISSUE_TYPES[kind]
    return issue.training if issue.evaluation == SAME else issue.evaluation


def stopping(kinds: set[str], uses: frozenset[str]) -> set[str]:
    return {kind for kind in kinds if ISSUE_TYPES[kind].stops(uses)}


def assert_refused(outcome: Any, kinds: set[str]) -> None:
    if not kinds:
        assert outcome == ""
        return
    assert isinstance(outcome, str), outcome
    words = {*kinds, "does not exist"} if kinds == {"file_absent"} else kinds
    assert any(word in outcome for word in words), outcome
