"""Run a model over pictures, a video or a camera; draw its detections and its attention."""

import json
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from detectron2.structures import Instances
from PIL import Image
from tqdm import tqdm

from nonlocal_det.layers.options import one_of
from nonlocal_det.visualization import (
    STYLES,
    AttentionMaps,
    draw_attention,
    draw_instances,
    record_attention,
)

from .attention_queries import AttentionQuery, attention_at
from .coco_json import CocoDetections
from .detector import Detector
from .sources import (
    VideoFile,
    distinct_names,
    find_images,
    frame_rate,
    read_frames,
    read_picture,
)

Item = tuple[str, str, np.ndarray]
"""A name for the files that are written, the file it comes from, and RGB pixels."""


@dataclass(frozen=True)
class DemoOptions:
    """What `run_demo` and `run_video` do.

    Args:
        out: folder of the results; made if absent.
        threshold: detections with a lower score are left out.
        batch_size: images that go through the model together.
        query: whose attention is drawn; None: none.
        styles: of the attention's pictures.
        top_k: arrows of a query.
        max_frames: of a video or camera; 0: all, for a camera until Ctrl-C.
        progress: whether a bar is shown.

    Raises:
        ValueError: a size below 1, a threshold outside of 0..1, or an unknown style.
    """

    out: Path
    threshold: float = 0.5
    batch_size: int = 1
    query: AttentionQuery | None = None
    styles: tuple[str, ...] = STYLES
    top_k: int = 20
    max_frames: int = 0
    progress: bool = True

    def __post_init__(self) -> None:
        """Check the values."""
        if self.batch_size < 1:
            raise ValueError(f"--batch-size {self.batch_size}: expected at least 1")
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"--threshold {self.threshold}: expected a score in 0..1")
        for style in self.styles:
            one_of("--styles", style, STYLES)
        if self.top_k < 1:
            raise ValueError(f"--top-k {self.top_k}: expected at least 1 arrow")

    def picture(self, name: str) -> Path:
        """Return the file of an image's detections."""
        return self.out / f"{name}.png"

    def attention(self, name: str, figure: int) -> Path:
        """Return the file of an image's attention; of keypoints, each instance has one."""
        by_instance = self.query is not None and self.query.of == "keypoints"
        return self.out / f"{name}_attention{f'_{figure + 1}' if by_instance else ''}.png"

    @property
    def predictions(self) -> Path:
        """The json of all detections."""
        return self.out / "predictions.json"


@dataclass
class DemoResult:
    """What a demo has done.

    Args:
        images: pictures or frames that went through the model.
        detections: in all of them.
        skipped: file and cause of each that could not be read.
    """

    images: int = 0
    detections: int = 0
    skipped: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Describe it in one line."""
        skipped = f", {len(self.skipped)} unreadable" if self.skipped else ""
        return f"{self.images} images{skipped}, {self.detections} detections"


class _Session:
    """A model over many batches, and its detections in all of them."""

    def __init__(self, detector: Detector, options: DemoOptions) -> None:
        self.detector, self.options = detector, options
        self.result = DemoResult()
        self.coco = CocoDetections(detector.metadata)
        options.out.mkdir(parents=True, exist_ok=True)

    def run(self, items: Iterator[Item]) -> Generator[tuple[str, np.ndarray], None, None]:
        """Yield name and drawn pixels of each item; write its attention."""
        options = self.options
        with ExitStack() as stack:
            maps = None
            if options.query:
                maps = stack.enter_context(record_attention(self.detector.model))
            while batch := list(islice(items, options.batch_size)):
                predictions = self.detector([image for *_, image in batch], options.threshold)
                for k, (item, instances) in enumerate(zip(batch, predictions, strict=True)):
                    name, source, image = item
                    if maps is not None:
                        self._draw_attention(maps, k, item, instances)
                    self.coco.add(source, instances)
                    self.result.images += 1
                    self.result.detections += len(instances)
                    yield name, draw_instances(image, instances, self.detector.metadata)

    def _draw_attention(
        self, maps: AttentionMaps, k: int, item: Item, instances: Instances
    ) -> None:
        options, (name, source, image) = self.options, item
        assert options.query is not None
        try:
            queries = attention_at(maps, options.query, k, instances, self.detector.metadata)
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from error
        for figure in sorted({query.figure for query in queries}):
            rows = [query for query in queries if query.figure == figure]
            draw_attention(
                image,
                [row.maps for row in rows],
                options.attention(name, figure),
                styles=options.styles,
                top_k=options.top_k,
                titles=[row.title for row in rows],
            )

    def finish(self) -> DemoResult:
        """Write the json."""
        self.options.predictions.write_text(json.dumps(self.coco.as_json()))
        return self.result


def run_demo(detector: Detector, inputs: Sequence[str], options: DemoOptions) -> DemoResult:
    """Detect in images, folders and patterns; a picture of each, and one ``predictions.json``.

    A file that cannot be read is named and left out.

    Args:
        detector: the model.
        inputs: see `find_images`.
        options: what to draw, and where to.

    Raises:
        FileNotFoundError: an input that matches no file.
        ValueError: no image could be read, the query is impossible, or a result would be written
            over an image.
    """
    paths = find_images(inputs)
    names = distinct_names(paths)
    _refuse_overwriting(names, paths, options)
    session = _Session(detector, options)
    result = session.result
    with tqdm(total=len(paths), unit="image", disable=not options.progress) as bar:

        def readable() -> Iterator[Item]:
            for name, path in zip(names, paths, strict=True):
                try:
                    image = read_picture(path)
                except (ValueError, FileNotFoundError) as error:  # as a link that leads nowhere
                    result.skipped.append(str(error))
                    tqdm.write(f"skipped {error}", file=sys.stderr)
                    bar.update()
                    continue
                yield name, str(path), image

        with closing(session.run(readable())) as pictures:  # an error removes its hooks, too
            for name, drawn in pictures:
                Image.fromarray(drawn).save(options.picture(name))
                bar.update()
    if not result.images:
        raise ValueError(f"no image could be read: {'; '.join(result.skipped[:5])}")
    return session.finish()


def run_video(detector: Detector, source: str | int, options: DemoOptions) -> DemoResult:
    """Detect in a video file or camera; an mp4 of the drawn frames, and ``predictions.json``.

    Ctrl-C ends it as the end of the video does.

    Args:
        detector: the model.
        source: a path, or the number of a camera.
        options: what to draw, and where to; the attention of each frame is a picture.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be opened, has no frame, the query is impossible, or a result would
            be written over the video.
    """
    stem = f"camera{source}" if isinstance(source, int) else Path(source).stem
    path = options.out / f"{stem}.mp4"
    _refuse_overwriting([], [Path(str(source))], options, path)
    session = _Session(detector, options)
    video = VideoFile(path, frame_rate(source))
    frames = islice(read_frames(source), options.max_frames or None)
    items = ((f"{stem}_{k:06d}", f"{source}#{k}", frame) for k, frame in enumerate(frames))
    with tqdm(unit="frame", disable=not options.progress) as bar:
        try:
            with closing(session.run(items)) as pictures:
                for _, drawn in pictures:
                    video.write(drawn)
                    bar.update()
        except KeyboardInterrupt:
            tqdm.write(f"stopped after {session.result.images} frames", file=sys.stderr)
        finally:
            video.close()
    return session.finish()


def _refuse_overwriting(
    names: Sequence[str], inputs: Sequence[Path], options: DemoOptions, *others: Path
) -> None:
    """Raise if a result has the place of an input, or two images have a result in common."""
    results = [*others, options.predictions]
    for name in names:
        results.append(options.picture(name))
        if options.query:
            figures = options.query.most if options.query.of == "keypoints" else 1
            results += [options.attention(name, figure) for figure in range(figures)]
    sources = {path.resolve() for path in inputs}
    written: set[Path] = set()
    for result in results:
        if result.resolve() in sources:
            raise ValueError(
                f"--output {options.out}: {result.name} is read there, and would be written over; "
                "give another folder"
            )
        if result in written:
            raise ValueError(
                f"--input: the results of two images would be {result.name}; rename one of them"
            )
        written.add(result)
