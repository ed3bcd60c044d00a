"""Drawn detections, and what pycocotools says of them: the yardstick of the evaluation's tests."""

import copy

from drawn_results import draw_evaluation
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

TASKS = ["bbox", "segm", "keypoints"]


def official(truth, results, task, change=lambda params: None) -> COCOeval:
    truth, results = copy.deepcopy(truth), copy.deepcopy(results)
    if task == "segm":
        for result in results:
            del result["bbox"]
    reference = COCO()
    reference.dataset = {"info": {}, **truth}
    reference.createIndex()
    evaluation = COCOeval(reference, reference.loadRes(results), task)
    change(evaluation.params)
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation


def drawn(task: str):
    truth, results = draw_evaluation(
        40, 30, task, num_categories=3, truths_per_image=4, seed=TASKS.index(task)
    )
    return truth, [one for one in results if one["image_id"] != 7]
