"""Draw clips, train a small non-local I3D from the video files, evaluate, write pictures.

Example:
  %(prog)s SEED 2 OUTPUT_DIR output/seed2
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.modeling import build_model
from torch import Tensor, nn

from nonlocal_det.checkpoint import load_weights
from nonlocal_det.layers import nonlocal_blocks
from nonlocal_det.synthetic.moving_clips import make_moving_clips
from nonlocal_det.video.mapper import VideoMapper
from nonlocal_det.visualization import (
    clip_attention_figure,
    draw_clips,
    draw_losses,
    read_metrics,
    record_attention,
)

from .quickstart import run_quickstart

CONFIG = "video/quick/nl_i3d_R18"
SHOWN = 16
"""Validation clips on the contact sheet."""


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, then train the small non-local I3D on 400 drawn clips."""
    run_quickstart(argv, __doc__, CONFIG, make_moving_clips, draw)


def draw(cfg: CfgNode) -> dict[str, Path]:
    """Draw the quickstart's pictures, from the last checkpoint of a finished run."""
    out, name = Path(cfg.OUTPUT_DIR), cfg.DATASETS.TEST[0]
    model = build_model(cfg).eval()
    load_weights(model, out / "model_final.pth")
    records, mapper = DatasetCatalog.get(name), VideoMapper(cfg, is_train=False)
    classes = MetadataCatalog.get(name).thing_classes
    shown = [mapper(record) for record in records[:: max(1, len(records) // SHOWN)][:SHOWN]]
    clips = []
    for sample in shown:
        with torch.no_grad():
            guess = int(model([sample])[0]["scores"].mean(0).argmax())
        truth = sample["label"]
        said = classes[guess] if guess == truth else f"{classes[guess]}, but it is {classes[truth]}"
        clips.append((_frames(sample["video"][0]), said, guess == truth))
    paths = {
        "predictions": draw_clips(clips, out / "predictions.png"),
        "losses": draw_losses(read_metrics(out / "metrics.json"), out / "losses.png"),
    }
    if nonlocal_blocks(model):
        sample = next((s for s, clip in zip(shown, clips, strict=True) if clip[2]), shown[0])
        paths["attention"] = _draw_attention(model, sample["video"][:1], out / "attention.png")
    return paths


def _frames(clip: Tensor) -> np.ndarray:
    """Turn a clip (3, T, H, W) into frames (T, H, W, 3)."""
    return clip.permute(1, 2, 3, 0).numpy()


def _draw_attention(model: nn.Module, clip: Tensor, path: Path) -> Path:
    """Draw where the first block attends from what moves, in the middle of the clip."""
    with record_attention(model) as maps, torch.no_grad():
        model([{"video": clip}])
    frames = _frames(clip[0])
    frame = len(frames) // 2
    attention = maps.at(maps.blocks[0], (*moving_place(frames, frame), frame))
    clip_attention_figure(frames, attention).savefig(path, dpi=110)
    return path


def moving_place(frames: np.ndarray, frame: int) -> tuple[float, float]:
    """Find what moves in a clip: where a frame differs most from the median of all frames.

    Args:
        frames: RGB (T, H, W, 3).
        frame: its number.

    Returns:
        x and y in pixels: the median of the places that differ.
    """
    still = np.median(frames, axis=0)
    change = np.abs(frames[frame] - still).sum(-1)  # (H, W)
    rows, columns = np.nonzero(change >= change.max() / 2)
    return float(np.median(columns)) + 0.5, float(np.median(rows)) + 0.5
