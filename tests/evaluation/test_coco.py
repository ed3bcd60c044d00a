"""COCO's metrics: equal to pycocotools', on what the data set has, without changing anything."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2 import evaluation
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.samplers import InferenceSampler
from detectron2.structures import Boxes, Instances
from detectron2.utils import comm
from pycocotools import mask as mask_util
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch.utils.data import DistributedSampler

from nonlocal_det import model_zoo
from nonlocal_det.data import register_coco_data
from nonlocal_det.data.coco_data import forget
from nonlocal_det.evaluation import (
    COCOEvaluator,
    analyze_files,
    build_evaluator,
    evaluators,
    register_evaluator,
)
from nonlocal_det.synthetic.mini_coco import make_mini_coco
from nonlocal_det.synthetic.register import register_mini_coco
from nonlocal_det.training import launch

TASKS = ("bbox", "segm", "keypoints")


@pytest.fixture(scope="module", autouse=True)
def _data(tmp_path_factory):
    root = tmp_path_factory.mktemp("datasets")
    make_mini_coco(root, num_train=1, num_val=24, size=96)
    register_mini_coco(root)
    yield
    register_mini_coco()


def detections(name: str, jitter: float, with_keypoints: bool = True):
    """The ground truth as if a model had found it, off by some pixels, with some false ones."""
    generator = np.random.default_rng(0)
    for record in DatasetCatalog.get(name):
        truth = [a for a in record["annotations"] if not a["iscrowd"]]
        truth = [a for a in truth for _ in range(generator.integers(0, 3))]
        size = (record["height"], record["width"])
        found = Instances(size)
        boxes = np.array([a["bbox"] for a in truth]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        boxes = boxes + generator.normal(0, jitter, boxes.shape)
        found.pred_boxes = Boxes(torch.tensor(boxes, dtype=torch.float32))
        # scores of one decimal: ties
        scores = generator.random(len(truth)).round(1)
        found.scores = torch.tensor(scores, dtype=torch.float32)
        found.pred_classes = torch.tensor([a["category_id"] for a in truth], dtype=torch.int64)
        masks = [mask_util.decode(mask_util.merge(mask_util.frPyObjects(a["segmentation"], *size)))
                 for a in truth]  # fmt: skip
        shift = int(jitter)
        masks = [np.roll(mask, generator.integers(-shift, shift + 1), axis=1) for mask in masks]
        found.pred_masks = torch.tensor(np.array(masks).reshape(-1, *size), dtype=torch.bool)
        if with_keypoints:
            points = np.array([a["keypoints"] for a in truth]).reshape(-1, 17, 3)
            points = points + generator.normal(0, jitter, points.shape)
            found.pred_keypoints = torch.tensor(points, dtype=torch.float32)
        yield record, {"instances": found}


def evaluated(name: str, out, jitter: float = 3.0, **options):
    evaluator = COCOEvaluator(name, str(out), **options)
    evaluator.reset()
    for record, output in detections(name, jitter, "keypoints" in name):
        evaluator.process([record], [output])
    return evaluator


def official(name: str, results: list[dict], task: str, sigmas=None) -> np.ndarray:
    truth = COCO(MetadataCatalog.get(name).json_file)
    results = copy.deepcopy(results)
    if task == "segm":
        for result in results:
            del result["bbox"]
    theirs = COCOeval(truth, truth.loadRes(results), task)
    if sigmas is not None:
        theirs.params.kpt_oks_sigmas = np.array(sigmas)
    theirs.evaluate()
    theirs.accumulate()
    theirs.summarize()
    return theirs.stats


@pytest.mark.parametrize("name", ["mini_coco_val", "mini_coco_keypoints_val"])
def test_files_and_box_metrics_equal_detectron2s(name, tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    # its second task would fail: pycocotools has changed the list by then
    original = evaluation.COCOEvaluator(name, ("bbox",), True, str(theirs), use_fast_impl=False)
    original.reset()
    for record, output in detections(name, 3.0, "keypoints" in name):
        original.process([record], [output])
    expected, found = original.evaluate(), evaluated(name, ours).evaluate()
    file = "coco_instances_results.json"
    assert (ours / file).read_bytes() == (theirs / file).read_bytes()
    assert len((ours / file).read_bytes()) > 10_000
    metrics = {k: v for k, v in found["bbox"].items() if not k.startswith("AR")}
    assert list(metrics) == list(expected["bbox"])
    assert metrics == pytest.approx(expected["bbox"], abs=1e-10, nan_ok=True)
    assert len(metrics) == (11 if name == "mini_coco_val" else 6)  # AP per category with 5 of them


def _evaluate_share(folder: str, sharing: str) -> None:
    """In each of the processes: the images that a sampler would give it."""
    register_mini_coco(folder)
    evaluator = COCOEvaluator("mini_coco_val", f"{folder}/{sharing}")
    evaluator.reset()
    all_of_them = list(detections("mini_coco_val", 3.0, False))
    if sharing == "in_blocks":  # Detectron2's own: uneven
        sampler = InferenceSampler(len(all_of_them))
    else:  # torch's: every n-th image, the first ones again to fill up
        sampler = DistributedSampler(all_of_them, shuffle=False)
    for number in sampler:
        record, output = all_of_them[number]
        evaluator.process([record], [output])
    results = evaluator.evaluate()
    assert bool(results) == comm.is_main_process()
    if results:
        Path(folder, f"{sharing}.json").write_text(json.dumps(results))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("processes", "sharing"), [(2, "every_nth"), (3, "in_blocks"), (3, "every_nth")]
)
def test_any_number_of_processes_has_the_numbers_of_one(processes, sharing, tmp_path):
    make_mini_coco(tmp_path, num_train=1, num_val=7, size=96)
    launch(_evaluate_share, processes, device="cpu", args=(str(tmp_path), sharing))
    register_mini_coco(tmp_path)
    whole = evaluated("mini_coco_val", tmp_path / "whole").evaluate()
    gathered = json.loads((tmp_path / f"{sharing}.json").read_text())
    assert json.dumps(gathered) == json.dumps(whole)  # to the last digit; nan is not equal to nan
    assert 5 < whole["bbox"]["AP"] < 95
    files = [tmp_path / run / "coco_instances_results.json" for run in (sharing, "whole")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_results_are_analyzed_by_the_names_of_their_categories(tmp_path, caplog):
    """The same names under other ids: without the evaluator's file of names all would be wrong."""
    evaluated("mini_coco_val", tmp_path).evaluate()
    results, other = tmp_path / "coco_instances_results.json", tmp_path / "other.json"
    annotations = MetadataCatalog.get("mini_coco_val").json_file
    expected = analyze_files(annotations, results)
    truth = json.loads(Path(annotations).read_text())
    ids = [one["id"] for one in truth["categories"]]
    new = dict(zip(ids, [*ids[1:], ids[0]], strict=True))
    for row in truth["annotations"]:
        row["category_id"] = new[row["category_id"]]
    for one in truth["categories"]:
        one["id"] = new[one["id"]]
    other.write_text(json.dumps(truth))
    assert analyze_files(other, results) == expected
    first = truth["categories"][0]
    assert f"changed to those of the annotations: {first['name']!r} {ids[0]} to {ids[1]}" in (
        caplog.text
    )
    first["name"] = "cow"
    other.write_text(json.dumps(truth))
    with pytest.raises(ValueError, match="which the annotations do not name; give the annotation"):
        analyze_files(other, results)


@pytest.mark.parametrize("name", ["mini_coco_val", "mini_coco_keypoints_val"])
def test_numbers_equal_pycocotools(name, tmp_path):
    results = evaluated(name, tmp_path).evaluate()
    written = json.loads((tmp_path / "coco_instances_results.json").read_text())
    assert set(results) == set(TASKS if "keypoints" in name else TASKS[:2])
    for task, metrics in results.items():
        # pycocotools' order
        names = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs"]
        names += ["ARm", "ARl"]
        if task == "keypoints":
            names = ["AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl"]
        expected = [100 * v if v >= 0 else np.nan for v in official(name, written, task)]
        found = [metrics[name] for name in names]
        assert found == pytest.approx(expected, abs=1e-10, nan_ok=True)
        assert 5 < metrics["AP"] < 95


def test_a_data_set_without_keypoints_or_masks_is_evaluated_for_what_it_has(tmp_path):
    name = "mini_coco_keypoints_val"
    content = json.loads(Path(MetadataCatalog.get(name).json_file).read_text())
    for annotation in content["annotations"]:
        del annotation["segmentation"]
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(content))
    evaluator = evaluated(name, tmp_path)
    evaluator._coco_api = COCO(str(path))
    assert set(evaluator.evaluate()) == {"bbox", "keypoints"}


def test_sigmas_are_those_given_else_the_data_sets(tmp_path, monkeypatch):
    name = "mini_coco_keypoints_val"
    usual = evaluated(name, tmp_path).evaluate()["keypoints"]["AP"]
    strict = evaluated(name, tmp_path, kpt_oks_sigmas=(0.02,) * 17).evaluate()["keypoints"]["AP"]
    assert strict < usual - 1
    written = json.loads((tmp_path / "coco_instances_results.json").read_text())
    expected = official(name, written, "keypoints", sigmas=[0.02] * 17)[0] * 100
    assert strict == pytest.approx(expected, abs=1e-10)
    metadata = MetadataCatalog.get(name)
    monkeypatch.setitem(metadata.__dict__, "keypoint_oks_sigmas", [0.02] * 17)
    assert evaluated(name, tmp_path).evaluate()["keypoints"]["AP"] == strict
    loose = (0.5,) * 17  # what is asked for wins over the data set
    both = evaluated(name, tmp_path, kpt_oks_sigmas=loose).evaluate()["keypoints"]["AP"]
    assert both > usual + 1


def test_evaluating_twice_gives_the_same(tmp_path):
    evaluator = evaluated("mini_coco_val", tmp_path)
    truth = copy.deepcopy(evaluator._coco_api.dataset)
    first = COCOEvaluator.evaluate(evaluator)
    assert evaluator._coco_api.dataset == truth
    again = evaluated("mini_coco_val", tmp_path).evaluate()
    assert {k: v["AP"] for k, v in first.items()} == {k: v["AP"] for k, v in again.items()}


def test_fewer_detections_per_image_count(tmp_path):
    usual = evaluated("mini_coco_val", tmp_path).evaluate()["bbox"]["AP"]
    one = evaluated("mini_coco_val", tmp_path, max_dets_per_image=1).evaluate()["bbox"]["AP"]
    assert one < usual - 1


def test_more_objects_than_detections_are_told(messages, tmp_path):
    name = "mini_coco_keypoints_val"

    def said(*options):
        cfg = model_zoo.get_config("quick/mask_keypoint_rcnn_R18")
        cfg.merge_from_list(list(options))
        known = len(messages())
        evaluator = build_evaluator(cfg, name, str(tmp_path))
        return evaluator, "\n".join(messages()[known:])

    evaluator, text = said("TEST.DETECTIONS_PER_IMAGE", 150)
    assert "TEST.MAX_DETS 150 counts all" in text
    evaluator, text = said()
    assert "objects" not in text
    objects = [row["image_id"] for row in evaluator.annotations() if not row["iscrowd"]]
    largest = max(map(objects.count, objects))
    options = ("TEST.DETECTIONS_PER_IMAGE", 1, "TEST.MAX_DETS", 1)
    text = said(*options)[1]
    missed = sum(objects.count(number) - 1 for number in set(objects))
    for key, shared in (("DETECTIONS_PER_IMAGE", "image_id"), ("MAX_DETS", "image_id and cat")):
        line = next(line for line in text.splitlines() if f"TEST.{key} is 1" in line)
        assert f"{largest} objects share {shared}" in line
        assert f"least {missed} objects are missed; {largest} lets" in line


def test_more_than_20_people_with_keypoints_count_with_a_higher_limit(messages, tmp_path):
    name = "mini_coco_keypoints_val"
    content = json.loads(Path(MetadataCatalog.get(name).json_file).read_text())
    people = [row for row in content["annotations"] if not row["iscrowd"]][:21]
    images = {row["id"]: row for row in content["images"]}
    crowded = images[people[0]["image_id"]]
    content |= {"images": [crowded]}
    content["annotations"] = [
        {**people[0], "id": k + 1, "bbox": [4 * k, 10, 3, 30], "area": 90}
        | {"keypoints": [4 * k + 1, 20, 2] * 17}
        for k in range(21)
    ]
    for row in content["annotations"]:
        x = row["bbox"][0]
        row["segmentation"] = [[x, 10, x + 3, 10, x + 3, 40, x, 40]]
    path = tmp_path / "crowd.json"
    path.write_text(json.dumps(content))
    register_coco_data("crowded", path, Path(MetadataCatalog.get(name).image_root))
    results = [
        {key: row[key] for key in ("category_id", "bbox", "keypoints")}
        | {"image_id": crowded["id"], "category_id": 0, "score": 0.9}
        for row in content["annotations"]
    ]
    aps = []
    for most in (100, 101):
        cfg = model_zoo.get_config("quick/mask_keypoint_rcnn_R18")
        cfg.TEST.MAX_DETS = most
        evaluator = build_evaluator(cfg, "crowded", str(tmp_path))
        evaluator.reset()
        rows = copy.deepcopy(results)
        evaluator._predictions.append({"image_id": crowded["id"], "instances": rows})
        aps.append(evaluator.evaluate()["keypoints"]["AP"])
    forget("crowded")
    assert aps[0] < 96
    assert aps[1] == pytest.approx(100)
    said = [line for line in messages() if "keypoint AP counts" in line]
    assert len(said) == 1
    assert "at least 1 objects are missed; 21 lets" in said[0]


def test_no_detections_give_nan_not_an_error(tmp_path):
    evaluator = COCOEvaluator("mini_coco_val", str(tmp_path))
    evaluator.reset()
    record = DatasetCatalog.get("mini_coco_val")[0]
    size = (record["height"], record["width"])
    empty = Instances(size, pred_boxes=Boxes(torch.zeros(0, 4)), scores=torch.zeros(0))
    empty.pred_classes = torch.zeros(0, dtype=torch.int64)
    evaluator.process([record], [{"instances": empty}])
    assert np.isnan(evaluator.evaluate()["bbox"]["AP"])


def test_a_class_the_data_set_does_not_have_is_named(tmp_path):
    evaluator = evaluated("mini_coco_val", tmp_path)
    evaluator._predictions[0]["instances"].append(
        {"image_id": 1, "category_id": 79, "bbox": [0, 0, 1, 1], "score": 0.5}
    )
    with pytest.raises(ValueError, match="class 79") as error:
        evaluator.evaluate()
    assert "NUM_CLASSES to 5" in str(error.value)


def test_wrong_number_of_sigmas_is_named(tmp_path):
    evaluator = evaluated("mini_coco_keypoints_val", tmp_path, kpt_oks_sigmas=(0.1,) * 3)
    with pytest.raises(ValueError, match="17 keypoints and there are 3 OKS sigmas"):
        evaluator.evaluate()


def test_other_kinds_of_data_are_refused():
    MetadataCatalog.get("elsewhere").evaluator_type = "cityscapes_sem_seg"
    with pytest.raises(ValueError, match="cityscapes_sem_seg"):
        build_evaluator(model_zoo.get_config("mask_rcnn_R50"), "elsewhere")


def test_a_registered_type_has_its_own_evaluator(monkeypatch, tmp_path):
    monkeypatch.setattr(evaluators, "_BUILDERS", dict(evaluators._BUILDERS))
    register_evaluator("clips")(lambda cfg, name, folder: (name, folder))
    MetadataCatalog.get("some_clips").evaluator_type = "clips"
    cfg = model_zoo.get_config("mask_rcnn_R50")
    assert build_evaluator(cfg, "some_clips", str(tmp_path)) == ("some_clips", str(tmp_path))
    assert build_evaluator(cfg, "some_clips")[1] == f"{cfg.OUTPUT_DIR}/inference"
    with pytest.raises(ValueError, match="'coco' is registered already"):
        register_evaluator("coco")(lambda *_: None)
