"""Video-level metrics behind Detectron2's evaluator protocol."""

import csv
import json
import logging
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from detectron2.evaluation import DatasetEvaluator
from detectron2.utils import comm
from torch import Tensor

from nonlocal_det.video.classifier import mean_of_logs

from .evaluators import register_evaluator
from .video_metrics import average_precisions, mean_class_accuracy, top_k_correct

logger = logging.getLogger("nonlocal_det")

MERGES = ("mean", "max")
"""How the views of a video become one score: the mean of their probabilities, or the maximum."""


def merge_views(scores: Tensor, merge: str) -> Tensor:
    """Merge the log-scores (V, K) of a video's views to (K,).

    Raises:
        ValueError: ``merge`` is not in `MERGES`.
    """
    if merge not in MERGES:
        raise ValueError(f"TEST.MERGE_VIEWS={merge!r}; expected one of {', '.join(MERGES)}")
    if merge == "max":
        return scores.amax(0)
    return mean_of_logs(scores, 0)


class VideoEvaluator(DatasetEvaluator):
    """Top-1, top-5 and mean class accuracy; with several labels a video, mean average precision.

    Args:
        dataset_name: of a registered data set.
        cfg: reads ``TEST.MERGE_VIEWS`` and ``MODEL.VIDEO``.
        output_folder: where the tables go; None: nowhere.
    """

    def __init__(self, dataset_name: str, cfg: CfgNode, output_folder: str | None = None) -> None:
        self.name = dataset_name
        self.merge, self.loss = cfg.TEST.MERGE_VIEWS, cfg.MODEL.VIDEO.LOSS
        self.num_classes = cfg.MODEL.VIDEO.NUM_CLASSES
        self.folder = Path(output_folder) if output_folder else None
        self.reset()

    def reset(self) -> None:
        """Forget what was processed."""
        self._scores: dict[str, tuple[np.ndarray, Any]] = {}
        self._repeated = 0
        self._unreadable: list[str] = []

    def process(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Tensor]]) -> None:
        """Merge the views of each video of a batch."""
        for sample, output in zip(inputs, outputs, strict=True):
            scores = self._merge(output["scores"])
            if sample.get("unreadable"):
                scores = np.full_like(scores, np.nan)
                self._unreadable.append(sample["file_name"])
            self._scores[sample["video_id"]] = (scores, sample["label"])
            self._repeated += bool(sample.get("repeated"))

    def _merge(self, scores: Tensor) -> np.ndarray:
        if self.loss == "sigmoid" and self.merge == "mean":  # of log-odds: both sides' means
            log_p, log_q = (torch.nn.functional.logsigmoid(side) for side in (scores, -scores))
            return (merge_views(log_p, "mean") - merge_views(log_q, "mean")).numpy()
        return merge_views(scores, self.merge).numpy()

    def evaluate(self) -> "OrderedDict[str, dict[str, float]] | None":
        """Gather all processes' videos and compute the metrics; None in all but the first."""
        parts = comm.gather((self._scores, self._repeated, self._unreadable))
        if not comm.is_main_process():
            return None
        scored = {name: value for part, _, _ in parts for name, value in part.items()}
        repeated = sum(count for _, count, _ in parts)
        unreadable = [name for *_, names in parts for name in names]
        if repeated:
            logger.warning(f"{self.name}: {repeated} videos are shorter than a clip and repeat")
        if unreadable:
            logger.warning(
                f"{self.name}: {len(unreadable)} videos cannot be read and count as wrong: "
                f"{', '.join(unreadable[:5])}"
            )
        names = sorted(scored)
        scores = np.stack([scored[name][0] for name in names])
        labels = [scored[name][1] for name in names]
        measure = self._several_labels if self.loss == "sigmoid" else self._one_label
        metrics = measure(scores, labels)
        if self.folder:
            self._write_predictions(names, scores, labels)
        logger.info(f"{self.name}: " + ", ".join(f"{k} {v:.2f}" for k, v in metrics.items()))
        return OrderedDict(video=metrics)

    @property
    def classes(self) -> list[str]:
        """The names of the classes, or their numbers where the data set has no names."""
        known = MetadataCatalog.get(self.name).get("thing_classes", [])
        return [known[k] if k < len(known) else str(k) for k in range(self.num_classes)]

    def _one_label(self, scores: np.ndarray, labels: list[int]) -> dict[str, float]:
        truth = np.asarray(labels)
        first, fifth = (top_k_correct(scores, truth, k) for k in (1, 5))
        if self.folder:
            rows = [
                (
                    name,
                    int((truth == k).sum()),
                    _percent(first[truth == k]),
                    _percent(fifth[truth == k]),
                )
                for k, name in enumerate(self.classes)
            ]
            self._write_table("per_class.csv", ("class", "videos", "top1", "top5"), rows)
            guesses = np.nan_to_num(scores, nan=-np.inf).argmax(axis=1)
            confusion = np.zeros((self.num_classes, self.num_classes), int)
            np.add.at(confusion, (truth, guesses), 1)
            self._write_table(
                "confusion.csv",
                ("class", *self.classes),
                [(name, *row) for name, row in zip(self.classes, confusion, strict=True)],
            )
        return {
            "top1": 100 * float(first.mean()),
            "top5": 100 * float(fifth.mean()),
            "class_accuracy": 100 * mean_class_accuracy(first, truth),
        }

    def _several_labels(self, scores: np.ndarray, labels: list[list[int]]) -> dict[str, float]:
        targets = np.zeros(scores.shape, bool)
        for row, classes in zip(targets, labels, strict=True):
            row[list(classes)] = True
        last = MetadataCatalog.get(self.name).get("unlabelled_last", False)
        precisions = average_precisions(scores, targets, unlabelled_last=last)
        absent = int(np.isnan(precisions).sum())
        if absent:
            logger.warning(f"{self.name}: {absent} classes have no video and are left out of mAP")
        if self.folder:
            rows = [
                (name, int(targets[:, k].sum()), 100 * precisions[k])
                for k, name in enumerate(self.classes)
            ]
            self._write_table("per_class.csv", ("class", "videos", "AP"), rows)
        return {"mAP": 100 * float(np.nanmean(precisions)), "classes_left_out": float(absent)}

    def _write_table(self, name: str, header: tuple[str, ...], rows: list[Any]) -> None:
        assert self.folder is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / name).open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])

    def _write_predictions(self, names: list[str], scores: np.ndarray, labels: list[Any]) -> None:
        """Write each video's label and five best classes with their log-scores."""
        best = np.argsort(-np.nan_to_num(scores, nan=-np.inf), axis=1, kind="stable")[:, :5]
        entries = [
            {
                "video_id": name,
                "label": label,
                "classes": top.tolist(),
                "log_scores": [None if np.isnan(s) else round(float(s), 6) for s in row[top]],
            }
            for name, label, top, row in zip(names, labels, best, scores, strict=True)
        ]
        assert self.folder is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "video_predictions.json").write_text(json.dumps(entries))


def _percent(correct: np.ndarray) -> float | str:
    return round(100 * float(correct.mean()), 2) if len(correct) else "-"


@register_evaluator("video")
def build_video_evaluator(cfg: CfgNode, dataset_name: str, output_folder: str) -> VideoEvaluator:
    """Build the evaluator of a video data set."""
    return VideoEvaluator(dataset_name, cfg, output_folder)
