"""A model into a file of another format, kept only if it finds what the model finds."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from nonlocal_det.checkpoint import Names
from nonlocal_det.video import VideoClassifier

from .check import Comparison
from .clips import ClipComparison, ClipGraph
from .formats import FORMATS, Format, Graph
from .graph import DetectionGraph


@dataclass(frozen=True)
class Exported:
    """A file that has been checked.

    Attributes:
        path: of the file.
        outputs: the names of what it gives, in order.
        comparison: what it was checked with.
    """

    path: Path
    outputs: tuple[str, ...]
    comparison: Comparison | ClipComparison

    def __str__(self) -> str:
        """In a line, for a tool to print."""
        size = self.path.stat().st_size / 2**20
        return f"{self.path}: {size:.1f} MiB, checked: {self.comparison}"


def export_model(
    model: nn.Module,
    format_name: str,
    path: Path,
    images: Sequence[Tensor],
    threshold: float = 0.05,
    names: Names | None = None,
) -> Exported:
    """Write a model in another format, run the file, and keep it if it agrees with the model.

    Args:
        model: Mask or Keypoint R-CNN, or a `VideoClassifier`, in evaluation mode, baseline or
            non-local; not changed.
        format_name: of `FORMATS`.
        path: of the file; replaced if it is there and the new one agrees.
        images: (3, H, W), 0 to 255, as the model takes them, of sizes of their own: the first is
            the example that is recorded, the others are what the file is checked with. Of a
            classifier clips (N, 3, T, H, W), RGB.
        threshold: the score above which detections are compared.
        names: of classes and keypoints by their indices, for the file: in TorchScript the extra
            file ``data_names.json``, in ONNX the metadata ``data_names``.

    Returns:
        The file and how near it is.

    Raises:
        ValueError: an unknown format or ending, a model that cannot be exported in it (why), or a
            file that disagrees; nothing is left at ``path`` then but what was there before.
    """
    chosen = find_format(format_name, path)
    if model.training:
        raise ValueError("the model is in training mode; call model.eval() before exporting it")
    if len(images) < 2:
        raise ValueError(f"{len(images)} images; one is the example, more are for the check")
    is_video = isinstance(model, VideoClassifier)
    graph: Graph = (ClipGraph if is_video else DetectionGraph)(model, names).eval()
    example, *others = images
    with _draft(path) as draft:
        _write(chosen, format_name, graph, example, draft)
        try:
            run = chosen.read(draft, graph)
            comparison = graph.compare(run, others, threshold)
        except ValueError as error:
            raise ValueError(
                f"{format_name}: the file does not find what the model finds and was not kept: "
                f"{error}"
            ) from error
    return Exported(path, graph.outputs, comparison)


def find_format(name: str, path: Path) -> Format:
    """The format of a name, for a file.

    Raises:
        ValueError: there is none of this name, or it ends otherwise; lists what there is.
    """
    if name not in FORMATS:
        raise ValueError(f"format {name!r}; expected one of {', '.join(FORMATS)}")
    endings = FORMATS[name].endings
    if path.suffix not in endings:
        raise ValueError(f"{path}: a file of format {name} ends in {' or '.join(endings)}")
    return FORMATS[name]


def _write(chosen: Format, name: str, graph: Graph, image: Tensor, path: Path) -> None:
    try:
        chosen.write(graph, image, path)
    except (RuntimeError, TypeError, NotImplementedError) as error:  # what torch's exporters raise
        first = " ".join(str(error).split("\n")[0].split())
        raise ValueError(
            f"{name}: torch cannot write this model: {type(error).__name__}: {first}"
        ) from error


@contextlib.contextmanager
def _draft(path: Path) -> Iterator[Path]:
    """A name beside ``path``, with its ending, that becomes ``path`` if all goes well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
