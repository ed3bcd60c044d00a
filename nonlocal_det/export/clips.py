"""A video classifier's inference as one graph: clips in, probabilities out, at any size."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nonlocal_det.checkpoint import Names
from nonlocal_det.video import VideoClassifier

from .check import TOLERANCE, Outputs, Runner


class ClipGraph(nn.Module):
    """What a `VideoClassifier` does to clips, with nothing but tensors.

    Args:
        model: in evaluation mode; not changed.
        names: of its classes by their indices, for the file.

    Shape:
        clips (N, 3, T, H, W) float32, RGB, 0 to 255; N, H and W are free, T is the example's. Gives
        scores (N, K): the probability of each class, the mean over the windows of 7x7.
    """

    inputs = ("clips",)
    outputs = ("scores",)
    axes = {"clips": {0: "clips", 3: "height", 4: "width"}, "scores": {0: "clips"}}

    def __init__(self, model: nn.Module, names: Names | None = None) -> None:
        super().__init__()
        assert isinstance(model, VideoClassifier)
        self.model = model
        self.names = names or {}

    def forward(self, clips: Tensor) -> tuple[Tensor]:
        """Classify clips."""
        model, head = self.model, self.model.head
        x = model.backbone(model.normalise(clips))[model.in_features].mean(2)  # (N, C, H', W')
        rows, rows_inside = _windows(x, 2, head.window)
        columns, columns_inside = _windows(x, 3, head.window)
        pooled = torch.matmul(torch.matmul(rows, x), columns.transpose(0, 1))
        logits = head.linear(pooled.permute(0, 2, 3, 1))  # (N, H', W', K)
        chances = logits.softmax(3) if model.loss == "softmax" else logits.sigmoid()
        inside = rows_inside.unsqueeze(1) * columns_inside  # (H', W')
        mean = (chances * inside.unsqueeze(2)).sum([1, 2]) / inside.sum()
        return (mean,)

    def example(self, clips: Tensor, threshold: float = 0.0) -> tuple[Tensor, ...]:
        """Return what `forward` takes."""
        return (clips,)

    @staticmethod
    def eager(model: Any, clips: Tensor, threshold: float) -> Outputs:
        """Classify by the model itself, on the CPU."""
        with torch.no_grad():
            logs = model([{"video": clips}])[0]["scores"]  # of a softmax or log-odds, float64
        return {"scores": (logs.exp() if model.loss == "softmax" else logs.sigmoid()).float()}

    def compare(self, run: Runner, clips: Sequence[Tensor], threshold: float) -> "ClipComparison":
        """Run the model and its file on the same clips.

        Raises:
            ValueError: the two differ by more than `TOLERANCE`; says where and by how much.
        """
        result = ClipComparison()
        for n, some in enumerate(clips):
            expected = self.eager(self.model, some, threshold)["scores"]
            found = run(some, threshold)["scores"].cpu()
            where = f"clips {n} ({' x '.join(map(str, some.shape))})"
            if found.shape != expected.shape or not found.isfinite().all():
                raise ValueError(
                    f"{where}: scores are {tuple(found.shape)}, or not finite; the model gives "
                    f"{tuple(expected.shape)}"
                )
            worst = float((found - expected).abs().max())
            if worst > TOLERANCE["scores"]:
                raise ValueError(
                    f"{where}: scores differ by {worst:.2g}, more than {TOLERANCE['scores']:.2g}"
                )
            result.clips += len(some)
            result.worst = max(result.worst, worst)
        return result


@dataclass
class ClipComparison:
    """What has been compared, and the largest difference of a probability."""

    clips: int = 0
    worst: float = 0.0

    def __str__(self) -> str:
        """In a line, for a tool to print."""
        return f"{self.clips} clips, apart by scores {self.worst:.1e}"


def _windows(x: Tensor, dim: int, window: int) -> tuple[Tensor, Tensor]:
    """Make the average over each window of a side as a matrix, with no number of the example.

    Returns:
        (S, S): row i averages the cells from i on; and (S): 1 where the window is inside, else 0.
    """
    cells = torch.arange(x.shape[dim], device=x.device)
    size = torch.ones_like(cells).sum().clamp(max=window)  # of the window
    after = cells.unsqueeze(0) - cells.unsqueeze(1)
    matrix = ((after >= 0) & (after < size)).to(x.dtype) / size
    inside = cells <= torch.ones_like(cells).sum() - size
    return matrix, inside.to(x.dtype)
