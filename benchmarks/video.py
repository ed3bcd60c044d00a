"""Reading clips and a training step of video models, against others'; ratios in one run.

python benchmarks/video.py --rounds 3

A step: this project's R50 with 5 blocks against pyslowfast's, on the same clips. Reading: the
mapper, with augmentation, against a plain loop over PyAV that keeps what it decodes, and the views
of a video in one pass against one by one, read and classified. The peer's rows need it:
pip install pyslowfast==1.0 simplejson
"""

import argparse
import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from detectron2.modeling import build_model
from measure import Result, compare, comparison_table, measure, publish
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import v2

from nonlocal_det.cli.errors import one_line_errors
from nonlocal_det.configs import load_config
from nonlocal_det.synthetic.moving_clips import draw_moving_clip, write_video
from nonlocal_det.training.provenance import hardware
from nonlocal_det.video.mapper import VideoMapper

CLIPS, FRAMES, SIDE = 2, 8, 112
"""Of a batch. 112 pixels end in maps of 4x4 as 128 do, which pyslowfast's head is told."""


@dataclass(frozen=True)
class StepCase:
    """A training step of one model.

    Args:
        model: ``c2d`` or ``i3d``, an R50 with 5 blocks.
        peer: pyslowfast's, else this project's.
        threads: of torch.
    """

    model: str
    peer: bool = False
    threads: int = 2


@dataclass(frozen=True)
class ReadCase:
    """One way of reading a file.

    Args:
        path: of the video.
        way: a name of `READERS`.
    """

    path: str
    way: str


def measure_step(case: StepCase, seconds: float) -> Result:
    """Measure forward, backward and optimizer in this process."""
    torch.set_num_threads(case.threads)
    torch.manual_seed(0)
    clips = torch.randn(CLIPS, 3, FRAMES, SIDE, SIDE)
    labels = torch.arange(CLIPS)
    model, logits = (_peer if case.peer else _ours)(case.model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9, nesterov=True)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(logits(clips), labels).backward()
        optimizer.step()

    return measure(step, torch.device("cpu"), seconds)


Network = tuple[torch.nn.Module, Callable[[Tensor], Tensor]]


def _ours(model: str) -> Network:
    cfg = load_config(f"video/nl_{model}_R50_8x8", ["MODEL.VIDEO.STEM", "slowfast"], "cpu")
    network = build_model(cfg)
    return network, lambda clips: network.head(network.backbone(clips)["res5"])


def _peer(model: str) -> Network:
    from slowfast.config.defaults import get_cfg
    from slowfast.models.video_model_builder import ResNetModel

    cfg = get_cfg()
    cfg.MODEL.ARCH, cfg.MODEL.NUM_CLASSES, cfg.NUM_GPUS = model, 400, 0
    cfg.DATA.NUM_FRAMES, cfg.DATA.CROP_SIZE, cfg.DATA.INPUT_CHANNEL_NUM = FRAMES, 128, [3]
    cfg.RESNET.ZERO_INIT_FINAL_BN, cfg.NONLOCAL.INSTANTIATION = True, "softmax"
    cfg.NONLOCAL.LOCATION = [[[]], [[1, 3]], [[1, 3, 5]], [[]]]
    network = ResNetModel(cfg).train()
    return network, lambda clips: network([clips])


@dataclass(frozen=True)
class ViewsCase:
    """The scores of ten views of a video.

    Args:
        at_once: views in one pass; 0: all.
        threads: of torch.
    """

    at_once: int
    threads: int = 2


def measure_views(case: ViewsCase, seconds: float) -> Result:
    """Measure an evaluation of one video by an I3D R50 with 5 blocks."""
    torch.set_num_threads(case.threads)
    options = ["TEST.VIEWS_PER_BATCH", str(case.at_once)]
    model = build_model(load_config("video/nl_i3d_R50_8x8", options, "cpu")).eval()
    views = torch.randint(0, 256, (10, 3, FRAMES, SIDE, SIDE), dtype=torch.uint8)

    @torch.no_grad()
    def evaluate() -> None:
        model([{"video": views}])

    return measure(evaluate, torch.device("cpu"), seconds)


def measure_read(case: ReadCase, seconds: float) -> Result:
    """Measure one way of reading a file, on one thread as in a loading process."""
    torch.set_num_threads(1)
    random.seed(0)
    read = READERS[case.way](case.path)
    return measure(read, torch.device("cpu"), seconds)


def _record(path: str) -> dict[str, object]:
    return {"file_name": path, "video_id": "0", "label": 0}


def _mapper(path: str, train: bool, reader: str = "pyav", clips: int = 10) -> Callable[[], object]:
    options = ["INPUT.VIDEO.READER", reader, "INPUT.VIDEO.TEST_CLIPS", str(clips)]
    mapper = VideoMapper(load_config("video/nl_i3d_R50_8x8", options, "cpu"), is_train=train)
    return lambda: mapper(_record(path))


def _plain_loop(path: str) -> Callable[[], object]:
    """Decode from the start up to the end of a random span, and keep every eighth frame."""
    import av

    def read() -> np.ndarray:
        with av.open(path) as container:
            stream = container.streams.video[0]
            stream.thread_count = 1
            start = random.randint(0, stream.frames - 64)
            wanted = set(range(start, start + 64, 8))
            frames = []
            for number, frame in enumerate(container.decode(stream)):
                if number in wanted:
                    frames.append(frame.to_ndarray(format="rgb24"))
                if number >= max(wanted):
                    break
            return np.stack(frames)

    return read


def _one_by_one(path: str) -> Callable[[], object]:
    read = _mapper(path, train=False, clips=1)
    return lambda: [read() for _ in range(10)]


READERS: dict[str, Callable[[str], Callable[[], object]]] = {
    "mapper": lambda path: _mapper(path, train=True),
    "mapper, torchcodec": lambda path: _mapper(path, train=True, reader="torchcodec"),
    "plain loop": _plain_loop,
    "10 clips x 3 crops, one pass": lambda path: _mapper(path, train=False),
    "10 x 1 clip": _one_by_one,
}


def draw_file(folder: Path, frames: int = 300) -> str:
    """Draw a video of so many frames of 320x256, as Kinetics' are prepared."""
    clip: list[np.ndarray] = []
    while len(clip) < frames:
        clip += draw_moving_clip("right", 256, np.random.default_rng(len(clip)))
    resized = (
        v2.functional.resize(torch.from_numpy(picture).permute(2, 0, 1), [256, 320])
        for picture in clip[:frames]
    )
    path = folder / "video.mp4"
    pictures = (picture.permute(1, 2, 0).contiguous().numpy() for picture in resized)
    write_video(path, pictures, Fraction(30))
    return str(path)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure every case against its peer, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="pairs of measurements, in turn")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each, at least")
    parser.add_argument("--threads", type=int, default=2, help="of steps and views; reading: 1")
    parser.add_argument("--only", choices=("steps", "reading"), help="leave the others out")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    args = parser.parse_args(argv)
    if args.rounds < 1:
        parser.error(f"--rounds {args.rounds}: expected 1 or more")
    rows = []
    with one_line_errors(), tempfile.TemporaryDirectory() as folder:
        if args.only != "reading":
            for model in ("c2d", "i3d"):
                ours = StepCase(model, threads=args.threads)
                row = compare(
                    measure_step, ours, replace(ours, peer=True), args.rounds, args.seconds
                )
                rows.append({"name": f"step, NL {model} R50", "against": "pyslowfast 1.0", **row})
            passes = (ViewsCase(0, args.threads), ViewsCase(1, args.threads))
            row = compare(measure_views, *passes, args.rounds, args.seconds)
            rows.append({"name": "10 views, NL i3d R50", "against": "one by one", **row})
        if args.only != "steps":
            path = draw_file(Path(folder))
            for way, against in (
                ("mapper", "plain loop"),
                ("mapper", "mapper, torchcodec"),
                ("10 clips x 3 crops, one pass", "10 x 1 clip"),
            ):
                cases = (ReadCase(path, way), ReadCase(path, against))
                row = compare(measure_read, *cases, args.rounds, args.seconds)
                rows.append({"name": way, "against": against, **row})
    where = hardware("cpu", threads=args.threads, packages=["av", "pyslowfast", "torchcodec"])
    publish(rows, comparison_table(rows, "video"), where, args.json)


if __name__ == "__main__":
    main()
