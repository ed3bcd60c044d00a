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

RESULTS = "video_results.json"
"""The file of the metrics and of what they count, in the folder of an evaluation's results."""

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


def merge_video_scores(scores: Tensor, loss: str, merge: str) -> np.ndarray:
    """Merge the scores (V, K) of a video's views, as the classifier gives them, to (K,).

    Args:
        scores: log-probabilities of the softmax, log-odds of the sigmoid.
        loss: ``MODEL.VIDEO.LOSS``.
        merge: one of `MERGES`.
    """
    if loss == "sigmoid" and merge == "mean":  # of log-odds: both sides' means
        log_p, log_q = (torch.nn.functional.logsigmoid(side) for side in (scores, -scores))
        return (merge_views(log_p, "mean") - merge_views(log_q, "mean")).numpy()
    return merge_views(scores, merge).numpy()


class VideoEvaluator(DatasetEvaluator):
    """Top-1, top-5, mean class accuracy, log-loss; with several labels a video, mAP.

    The log-loss is the mean of -log p of the true class over the videos that have scores, in nats.

    Args:
        dataset_name: of a registered data set.
        cfg: reads ``TEST.MERGE_VIEWS`` and ``MODEL.VIDEO``.
        output_folder: where the files go (``per_class.csv``, ``confusion.csv``: a row a class, a
            column a prediction, ``video_predictions.json``, `RESULTS`); None: nowhere.
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
        self._repeated: set[str] = set()
        self._unreadable: set[str] = set()

    def process(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Tensor]]) -> None:
        """Merge the views of each video of a batch."""
        for sample, output in zip(inputs, outputs, strict=True):
            scores = merge_video_scores(output["scores"], self.loss, self.merge)
            if sample.get("unreadable"):
                scores = np.full_like(scores, np.nan)
                self._unreadable.add(sample["file_name"])
            self._scores[sample["video_id"]] = (scores, sample["label"])
            if sample.get("repeated"):
                self._repeated.add(sample["video_id"])

    def evaluate(self) -> "OrderedDict[str, dict[str, float]] | None":
        """Gather all processes' videos and compute the metrics; None in all but the first.

        Raises:
            ValueError: no video was processed.
        """
        parts = comm.gather((self._scores, self._repeated, self._unreadable))
        if not comm.is_main_process():
            return None
        # by name: a video that two processes were given counts once
        scored = {name: value for part, _, _ in parts for name, value in part.items()}
        if not scored:
            raise ValueError(f"{self.name}: no video was evaluated")
        repeated = {name for _, names, _ in parts for name in names}
        unreadable = sorted({name for *_, names in parts for name in names})
        names = sorted(scored)
        scores = np.stack([scored[name][0] for name in names])
        labels = [scored[name][1] for name in names]
        lost = len(scores) - int(np.isfinite(scores).all(axis=1).sum()) - len(unreadable)
        for count, what in (
            (len(repeated), "are shorter than a clip and repeat from their start"),
            (len(unreadable), f"cannot be read and count as wrong: {', '.join(unreadable[:5])}"),
            (lost, "have scores that are not finite and count as wrong; the model has diverged"),
        ):
            if count:
                logger.warning(f"{self.name}: {count} of {len(names)} videos {what}")
        measure = self._several_labels if self.loss == "sigmoid" else self._one_label
        metrics = measure(scores, labels)
        logger.info(f"{self.name}: " + ", ".join(f"{k} {v:.2f}" for k, v in metrics.items()))
        if self.folder:
            self._write_predictions(names, scores, labels)
            content = {
                "metrics": {k: v if np.isfinite(v) else None for k, v in metrics.items()},
                "videos": len(names),
                "shorter_than_a_clip": len(repeated),
                "unreadable": unreadable,
                "without_finite_scores": lost,
                "merge_views": self.merge,
            }
            (self.folder / RESULTS).write_text(json.dumps(content, indent=1))
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
            guesses[~np.isfinite(scores).all(axis=1)] = self.num_classes  # the last column
            confusion = np.zeros((self.num_classes, self.num_classes + 1), int)
            np.add.at(confusion, (truth, guesses), 1)
            self._write_table(
                "confusion.csv",
                ("class", *self.classes, "(no scores)"),
                [(name, *row) for name, row in zip(self.classes, confusion, strict=True)],
            )
        scored = np.isfinite(scores).all(axis=1)
        losses = -scores[scored, truth[scored]]
        return {
            "top1": 100 * float(first.mean()),
            "top5": 100 * float(fifth.mean()),
            "class_accuracy": 100 * mean_class_accuracy(first, truth),
            "log_loss": float(losses.mean()) if len(losses) else float("nan"),
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
        mean = float(np.nanmean(precisions)) if absent < len(precisions) else float("nan")
        if self.folder:
            rows = [
                (name, int(targets[:, k].sum()), 100 * precisions[k])
                for k, name in enumerate(self.classes)
            ]
            self._write_table("per_class.csv", ("class", "videos", "AP"), rows)
        return {"mAP": 100 * mean, "classes_left_out": float(absent)}

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
