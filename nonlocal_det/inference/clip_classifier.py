"""Classify video files: the classes of a whole video, and second by second."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from detectron2.modeling import build_model
from torch import Tensor

from nonlocal_det.checkpoint import SafeCheckpointer
from nonlocal_det.evaluation.video import merge_video_scores
from nonlocal_det.video.clips import clip_frames, resize_short_side, square_crops, to_clip
from nonlocal_det.video.index import VideoIndex, video_index
from nonlocal_det.video.mapper import VideoMapper

NAMES = "data_names"
"""Where a checkpoint has the names of the classes that it was trained with."""
_BATCH = 4


@dataclass(frozen=True)
class VideoScores:
    """The probabilities of a video's classes.

    Attributes:
        classes: K names.
        whole: float64 (K,), of the whole video, by the views of an evaluation.
        times: float64 (S,), seconds after the first frame; the middle of each clip.
        by_time: float64 (S, K), of the clip around each.
    """

    classes: tuple[str, ...]
    whole: np.ndarray
    times: np.ndarray
    by_time: np.ndarray

    def best(self, count: int = 5) -> list[tuple[str, float]]:
        """Return the best classes of the whole video with their probabilities."""
        return [(self.classes[k], float(self.whole[k])) for k in np.argsort(-self.whole)[:count]]


class ClipClassifier:
    """A video model of a config with the weights of a file, as data: nothing in it is executed.

    Args:
        cfg: of the model; not changed.
        weights: the file; None: that of a finished training, ``OUTPUT_DIR/model_final.pth``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the config is of no video model, or the file is damaged or of another model.
    """

    def __init__(self, cfg: CfgNode, weights: Path | None = None) -> None:
        if "VIDEO" not in cfg.MODEL:
            raise ValueError(
                "the config is of no video model; give one of configs/video, as --config-file "
                "configs/video/quick/nl_i3d_R18.yaml"
            )
        path = weights or Path(cfg.OUTPUT_DIR) / "model_final.pth"
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: no such file of weights; give --weights, or train first "
                "(make quickstart-video)"
            )
        self.cfg = cfg
        self.model = build_model(cfg).eval()
        checkpointer = SafeCheckpointer(self.model)
        rest = checkpointer.load(str(path))
        report = checkpointer.report
        if report is not None and not report.fits():
            raise ValueError(
                f"{path} is of another model: {report.difference()}; give the --config-file that "
                "it was trained with"
            )
        self.classes = _class_names(cfg, getattr(checkpointer, "loaded_names", rest.get(NAMES)))

    @torch.no_grad()
    def __call__(self, path: str | Path, every: float = 1.0) -> VideoScores:
        """Classify a video file.

        Args:
            path: of the file.
            every: seconds between the clips of `VideoScores.by_time`.

        Raises:
            VideoError: the file cannot be read.
        """
        index = video_index(path)
        mapper = VideoMapper(self._without_equal_crops(index), is_train=False)
        sample = mapper({"file_name": str(path), "video_id": "", "label": 0})
        whole = self.probabilities(self.model([sample])[0]["scores"])
        starts, times = _clip_starts(index, mapper.span, every)
        rows = []
        clips = iter(starts)
        while batch := list(islice(clips, _BATCH)):
            views = torch.stack([self._clip(path, start, index, mapper) for start in batch])
            scores = self.model([{"video": views}])[0]["scores"]
            rows += [self.probabilities(row[None]) for row in scores]
        return VideoScores(self.classes, whole, times, np.stack(rows))

    def _without_equal_crops(self, index: VideoIndex) -> CfgNode:
        """Take one crop of a square video, where the config asks for three."""
        cfg: CfgNode = self.cfg.clone()
        cfg.defrost()
        if index.size[0] == index.size[1]:
            cfg.INPUT.VIDEO.TEST_CROPS = min(cfg.INPUT.VIDEO.TEST_CROPS, 1)
        return cfg

    def _clip(self, path: str | Path, start: int, index: VideoIndex, mapper: VideoMapper) -> Tensor:
        """Read the middle square of a clip: (3, T, S, S)."""
        options = self.cfg.INPUT.VIDEO
        frames = clip_frames(start, options.FRAMES, options.STRIDE, len(index))
        clip = resize_short_side(to_clip(mapper.read(path, frames)), options.TEST_SIZE)
        return square_crops(clip, 1)[0].transpose(0, 1)

    def probabilities(self, scores: Tensor) -> np.ndarray:
        """Merge the scores (V, K) of the views of a clip to the classes' probabilities (K,)."""
        loss = self.cfg.MODEL.VIDEO.LOSS
        merged = torch.from_numpy(merge_video_scores(scores, loss, self.cfg.TEST.MERGE_VIEWS))
        chances = merged.sigmoid() if loss == "sigmoid" else merged.exp()
        result: np.ndarray = chances.numpy()
        return result


def _clip_starts(index: VideoIndex, span: int, every: float) -> tuple[list[int], np.ndarray]:
    """Return where clips start whose middles are so many seconds apart, and their middles."""
    times = (index.pts - index.pts[0]) * index.seconds  # (F,)
    middles = np.arange(0, max(float(times[-1]), 0) + 1e-9, every)
    at = np.searchsorted(times, middles).clip(0, len(times) - 1)
    starts = (at - span // 2).clip(0, max(len(times) - span, 0))
    return starts.tolist(), middles


def _class_names(cfg: CfgNode, stored: object) -> tuple[str, ...]:
    """Take the names of the weights, else of the data, else numbers."""
    count = cfg.MODEL.VIDEO.NUM_CLASSES
    data = MetadataCatalog.get(cfg.DATASETS.TEST[0]) if cfg.DATASETS.TEST else None
    of_weights = stored.get("thing_classes") if isinstance(stored, dict) else None
    for names in (of_weights, data.get("thing_classes", None) if data else None):
        if names and len(names) == count:
            return tuple(names)
    return tuple(map(str, range(count)))


def scores_at(scores: VideoScores, times: Iterator[float]) -> Iterator[np.ndarray]:
    """Yield the probabilities (K,) of the clip that is nearest to each time."""
    for time in times:
        yield scores.by_time[int(np.abs(scores.times - time).argmin())]
