"""Run a model over pictures, a video or a camera; draw what it finds and where its blocks look."""

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

from .attention_queries import Question, ask
from .coco_json import CocoDetections
from .detector import Detector
from .sources import VideoFile, find_images, frame_rate, read_frames, read_picture


@dataclass(frozen=True)
class DemoOptions:
    """What `run_demo` does beside detecting.

    Attributes:
        out: folder of the results; made if absent.
        threshold: detections with a lower score are left out.
        batch_size: images that go through the model together.
        question: whose attention is drawn; None: nothing's.
        styles: of the attention's pictures.
        top_k: arrows of a query.
        max_frames: of a video or camera; 0: all, for a camera until Ctrl-C.
        progress: whether a bar is shown.
    """

    out: Path
    threshold: float = 0.5
    batch_size: int = 1
    question: Question | None = None
    styles: tuple[str, ...] = STYLES
    top_k: int = 20
    max_frames: int = 0
    progress: bool = True

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        if self.batch_size < 1:
            raise ValueError(f"--batch-size {self.batch_size}: expected at least 1")
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"--threshold {self.threshold}: expected a score in 0..1")
        for style in self.styles:
            one_of("--styles", style, STYLES)
        if self.top_k < 1:
            raise ValueError(f"--top-k {self.top_k}: expected at least 1 arrow")


@dataclass
class DemoResult:
    """What a demo has done.

    Attributes:
        images: pictures or frames that went through the model.
        detections: found in all of them.
        skipped: file and cause of each that could not be read.
        written: the files.
    """

    images: int = 0
    detections: int = 0
    skipped: list[str] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)

    def __str__(self) -> str:
        """In one line."""
        skipped = f", {len(self.skipped)} unreadable" if self.skipped else ""
        return f"{self.images} images{skipped}, {self.detections} detections"


Item = tuple[str, str, np.ndarray]
"""A name for the files that are written, the file it comes from, and RGB pixels."""


class _Session:
    """One model over many batches: what is found, drawn and written."""

    def __init__(self, detector: Detector, options: DemoOptions) -> None:
        self.detector, self.options = detector, options
        self.result = DemoResult()
        self.coco = CocoDetections(detector.metadata)
        options.out.mkdir(parents=True, exist_ok=True)

    def run(self, items: Iterator[Item]) -> Generator[tuple[str, np.ndarray], None, None]:
        """The name and the drawn pixels of each item; its attention is written on the way."""
        options = self.options
        with ExitStack() as stack:
            maps = None
            if options.question:
                maps = stack.enter_context(record_attention(self.detector.model))
            while batch := list(islice(items, options.batch_size)):
                images = [image for _, _, image in batch]
                found = self.detector(images, options.threshold)
                for k, (item, instances) in enumerate(zip(batch, found, strict=True)):
                    name, source, image = item
                    if maps is not None:
                        self._draw_attention(maps, k, item, instances)
                    self.coco.add(source, instances)
                    self.result.images += 1
                    self.result.detections += len(instances)
                    yield name, draw_instances(image, instances, self.detector.metadata)

    def _draw_attention(self, maps: AttentionMaps, k: int, item: Item, found: Instances) -> None:
        options, (name, source, image) = self.options, item
        assert options.question is not None
        try:
            looks = ask(maps, options.question, k, found, self.detector.metadata)
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from error
        for figure in sorted({look.figure for look in looks}):
            ours = [look for look in looks if look.figure == figure]
            number = f"_{figure + 1}" if options.question.of == "keypoints" else ""
            path = options.out / f"{name}_attention{number}.png"
            rows, titles = [look.maps for look in ours], [look.title for look in ours]
            draw_attention(
                image, rows, path, styles=options.styles, top_k=options.top_k, titles=titles
            )
            self.result.written.append(path)

    def finish(self) -> DemoResult:
        """Write the json."""
        path = self.options.out / "predictions.json"
        path.write_text(json.dumps(self.coco.as_json()))
        self.result.written.append(path)
        return self.result


def run_demo(detector: Detector, inputs: Sequence[str], options: DemoOptions) -> DemoResult:
    """Detect in images, folders and patterns; a picture of each, and one ``predictions.json``.

    A file that cannot be read is named and left out.

    Args:
        detector: the model.
        inputs: see `find_images`.
        options: see there.

    Raises:
        FileNotFoundError: an input that matches no file.
        ValueError: no image could be read at all, the question cannot be answered, or a picture
            would be written over an image.
    """
    paths = find_images(inputs)
    names = _distinct_names(paths)
    _refuse_overwriting([options.out / f"{name}.png" for name in names], paths)
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

        with closing(session.run(readable())) as pictures:  # so that its hooks are gone
            for name, drawn in pictures:
                path = options.out / f"{name}.png"
                Image.fromarray(drawn).save(path)
                result.written.append(path)
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
        options: ``question`` draws pictures of each frame beside the video.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be opened, has no frame, the question cannot be answered, or the
            video would be written over the one that is read.
    """
    stem = f"camera{source}" if isinstance(source, int) else Path(source).stem
    _refuse_overwriting([options.out / f"{stem}.mp4"], [Path(str(source))])
    session = _Session(detector, options)
    video = VideoFile(options.out / f"{stem}.mp4", frame_rate(source))
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
    session.result.written.append(video.path)
    return session.finish()


def _refuse_overwriting(written: Sequence[Path], read: Sequence[Path]) -> None:
    """The pictures of a folder may not take the places of the images they are drawn on."""
    sources = {path.resolve() for path in read}
    for path in written:
        if path.resolve() in sources:
            raise ValueError(
                f"--output {path.parent}: {path.name} is read there, and would be written over; "
                "give another folder"
            )


def _distinct_names(paths: Sequence[Path]) -> list[str]:
    """The files' names without their endings; with a number where two would be the same."""
    names: dict[str, None] = {}  # in their order; a set's speed for folders of 100,000
    for path in paths:
        name, count = path.stem, 1
        while name in names:
            count += 1
            name = f"{path.stem}_{count}"
        names[name] = None
    return list(names)
