"""Box, mask and keypoint AP as Detectron2 reports them, computed by faster-coco-eval.

Detectron2's own evaluator needs its C++ operators for the fast path, and on the slow one hands the
same list to pycocotools again and again, which changes it and fails with NumPy 2.
"""

import itertools
import json
import logging
import os
from typing import Any

from detectron2 import evaluation
from detectron2.config import CfgNode
from detectron2.utils.file_io import PathManager
from faster_coco_eval import COCOeval_faster

from .evaluators import register_evaluator
from .results import CATEGORIES
from .summary import Result, evaluate_results, summary, summary_table
from .truth import usable_truth, warn_of_limit

logger = logging.getLogger("nonlocal_det")


class COCOEvaluator(evaluation.COCOEvaluator):
    """Detectron2's COCO evaluator with another engine, and the tasks that the data set has.

    A model that predicts masks is evaluated for masks only where the data set has masks; the same
    for keypoints. The OKS sigmas are those given, else the data set's own (its metadata), else
    COCO's. To Detectron2's metrics come the average recalls, as "AR100" or "ARs".

    Args:
        dataset_name: a registered data set with a ``json_file``.
        output_dir: where results go as json; None: nowhere.
        distributed: gather the results of all processes.
        kpt_oks_sigmas: one per keypoint, as a share of the object's scale; empty: the data set's.
        max_dets_per_image: detections counted per image and category, by default COCO's 100; for
            keypoints COCO's 20, unless it is above 100.
    """

    def __init__(
        self,
        dataset_name: str,
        output_dir: str | None = None,
        *,
        distributed: bool = True,
        kpt_oks_sigmas: tuple[float, ...] = (),
        max_dets_per_image: int | None = None,
    ) -> None:
        super().__init__(
            dataset_name,
            tasks=None,
            distributed=distributed,
            output_dir=output_dir,
            max_dets_per_image=max_dets_per_image,
            use_fast_impl=False,
            kpt_oks_sigmas=(),
        )
        own = self._metadata.get("keypoint_oks_sigmas", ())
        self._sigmas = list(kpt_oks_sigmas or own)

    def annotations(self) -> list[dict[str, Any]]:
        """Return those of the json; none of a test set that is kept secret."""
        rows: list[dict[str, Any]] = self._coco_api.dataset.get("annotations", [])
        return rows

    def _eval_predictions(
        self, predictions: list[dict[str, Any]], img_ids: list[int] | None = None
    ) -> None:
        """Fill ``self._results``: a dictionary of metrics for each of bbox, segm, keypoints."""
        predictions = self._once_each(predictions)
        results = list(itertools.chain(*[image["instances"] for image in predictions]))
        self._restore_category_ids(results)
        if self._output_dir:
            path = os.path.join(self._output_dir, "coco_instances_results.json")
            self._logger.info(f"Saving results to {path}")
            categories = self._coco_api.dataset["categories"]
            named = [{key: one[key] for key in ("id", "name")} for one in categories]
            for name, content in ((os.path.basename(path), results), (CATEGORIES, named)):
                with PathManager.open(os.path.join(self._output_dir, name), "w") as file:
                    file.write(json.dumps(content))
        if not self._do_evaluation:
            self._logger.info("Annotations are not available for evaluation.")
            return
        truth = self._coco_api.dataset
        for task in self._tasks_of(results):
            truth = usable_truth(truth, task, results)  # each repair is said once
            summary = self._summarize(truth, results, task, img_ids) if results else None
            self._results[task] = self._derive_coco_results(
                summary, task, class_names=self._metadata.get("thing_classes")
            )

    def _once_each(self, predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Keep one prediction of each image, in the order of their ids.

        A sampler that fills up uneven shards, as torch's DistributedSampler does, repeats images.
        Counted twice, an image's detections would be false ones the second time.
        """
        first = {image["image_id"]: image for image in reversed(predictions)}
        if repeated := len(predictions) - len(first):
            self._logger.warning(
                f"{self._metadata.name}: {repeated} predictions repeat an image; the first of each "
                "image counts"
            )
        return [first[image_id] for image_id in sorted(first)]

    def _restore_category_ids(self, results: list[Result]) -> None:
        mapping = self._metadata.get("thing_dataset_id_to_contiguous_id")
        if mapping is None:
            return
        original = {contiguous: original for original, contiguous in mapping.items()}
        for result in results:
            if result["category_id"] not in original:
                raise ValueError(
                    f"a prediction has class {result['category_id']}, but the data set "
                    f"{self._metadata.name} has {len(original)} classes; set "
                    f"MODEL.ROI_HEADS.NUM_CLASSES to {len(original)}"
                )
            result["category_id"] = original[result["category_id"]]

    def _tasks_of(self, results: list[Result]) -> list[str]:
        """The tasks that both the predictions and the annotations have."""
        annotations = self.annotations()
        fields = {"segm": "segmentation", "keypoints": "keypoints"}
        tasks = ["bbox"]
        for task in self._tasks_from_predictions(results):
            if task == "bbox":
                continue
            if any(annotation.get(fields[task]) for annotation in annotations):
                tasks.append(task)
            else:
                self._logger.warning(f"{self._metadata.name} has no {fields[task]}: no {task} AP")
        return tasks

    def _summarize(
        self, truth: dict[str, Any], results: list[Result], task: str, img_ids: list[int] | None
    ) -> COCOeval_faster:
        most = self._max_dets_per_image[-1]
        evaluation = evaluate_results(
            truth,
            results,
            task,
            sigmas=self._sigmas,
            image_ids=img_ids,
            # of keypoints COCO counts 20, of all else 100
            max_dets=0 if task == "keypoints" and most <= 100 else most,
        )
        self._logger.info(f"COCO's summary of {task}:\n" + summary_table(evaluation))
        return evaluation

    def _derive_coco_results(
        self, coco_eval: COCOeval_faster | None, iou_type: str, class_names: list[str] | None = None
    ) -> dict[str, float]:
        """Detectron2's metrics, AP and AP per category, and with them the average recalls."""
        metrics = super()._derive_coco_results(coco_eval, iou_type, class_names)
        numbers = summary(coco_eval) if coco_eval else {}
        return {**metrics, **{k: v for k, v in numbers.items() if k.startswith("AR")}}


@register_evaluator("coco")
def build_coco_evaluator(cfg: CfgNode, dataset_name: str, output_folder: str) -> COCOEvaluator:
    """Build the evaluator of a data set in COCO's format.

    Reads ``TEST.KEYPOINT_OKS_SIGMAS`` and ``TEST.MAX_DETS``; a warning tells of detections that a
    model gives and the evaluation does not count, and of objects that can only be missed.
    """
    most, given = cfg.TEST.get("MAX_DETS", 100), cfg.TEST.DETECTIONS_PER_IMAGE
    if given > most:
        logger.warning(
            f"TEST.DETECTIONS_PER_IMAGE={given}, but the evaluation counts the best {most} of an "
            f"image and category, as COCO does; TEST.MAX_DETS {given} counts all"
        )
    evaluator = COCOEvaluator(
        dataset_name,
        output_folder,
        kpt_oks_sigmas=tuple(cfg.TEST.KEYPOINT_OKS_SIGMAS),
        max_dets_per_image=most,
    )
    rows, same = evaluator.annotations(), ("image_id", "category_id")
    warn_of_limit(dataset_name, rows, "TEST.DETECTIONS_PER_IMAGE", given, ("image_id",))
    warn_of_limit(dataset_name, rows, "TEST.MAX_DETS", most, same)
    if cfg.MODEL.KEYPOINT_ON and most <= 100:
        rows = [row for row in rows if any((row.get("keypoints") or ())[2::3])]
        key = "the number that keypoint AP counts, TEST.MAX_DETS if above 100,"
        warn_of_limit(dataset_name, rows, key, 20, same)
    return evaluator
