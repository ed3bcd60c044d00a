"""A training on the CPU that is ended again and again: one python, which forks every start.

As a script: ``killed_training.py FOLDER TASK PROCESSES WORKERS SIGNAL...``, TASK one of `TASKS`.
Each signal goes to the whole process group of one start. ``FOLDER/losses.txt`` gets a line for
every step, ``FOLDER/deaths.txt`` one for every start that was ended: what it was doing, its status,
the seconds it took to end.
"""

import os
import random
import signal
import sys
import time
import traceback
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import NoReturn

import torch
import torch.distributed as dist
from detectron2.engine import HookBase
from detectron2.utils import comm

from nonlocal_det.checkpoint import checkpointer
from nonlocal_det.cli.arguments import build_argument_parser
from nonlocal_det.cli.train import run
from nonlocal_det.training import train, trainer

COMMON = [
    *("SOLVER.IMS_PER_BATCH", "4", "SOLVER.STEPS", "(40,)", "SOLVER.MAX_ITER", "60"),
    *("SOLVER.CHECKPOINT_PERIOD", "4", "TEST.EVAL_PERIOD", "10", "SOLVER.BASE_LR", "0.002"),
    *("MODEL.DEVICE", "cpu", "TEST.EXPECTED_RESULTS", "[]"),
]
DETECTOR = [
    *("INPUT.MIN_SIZE_TRAIN", "(48, 56, 64)", "INPUT.MIN_SIZE_TEST", "64"),
    *("MODEL.RESNETS.DEPTH", "50", "MODEL.RESNETS.RES2_OUT_CHANNELS", "16"),
    *("MODEL.RESNETS.STEM_OUT_CHANNELS", "8", "MODEL.RESNETS.WIDTH_PER_GROUP", "4"),
    *("MODEL.FPN.OUT_CHANNELS", "16", "MODEL.ROI_BOX_HEAD.FC_DIM", "16"),
    *("MODEL.ROI_MASK_HEAD.CONV_DIM", "8", "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", str((8,) * 8)),
    *("TEST.DETECTIONS_PER_IMAGE", "5"),
]
CLIPS = [
    *("MODEL.RESNETS.WIDTH_PER_GROUP", "8", "INPUT.VIDEO.FRAMES", "4", "INPUT.VIDEO.CROP", "32"),
    *("INPUT.VIDEO.MIN_SIZE_TRAIN", "32", "INPUT.VIDEO.MAX_SIZE_TRAIN", "40"),
    *("INPUT.VIDEO.TEST_SIZE", "32", "INPUT.VIDEO.TEST_CLIPS", "2"),
    *("TEST.PRECISE_BN.ENABLED", "True", "TEST.PRECISE_BN.NUM_ITER", "2"),
]
OPTIONS = [*COMMON, *DETECTOR]
TASKS = {
    "detection": [
        *("--config-file", "quick/nl_mask_keypoint_rcnn_R18", "--resume"),
        *("--ema", "0.9", "--val-loss", *OPTIONS),
    ],
    "video": ["--config-file", "video/quick/nl_i3d_R18", "--resume", *COMMON, *CLIPS],
}
LONGEST = {"step": 0.15, "save": 0.04, "evaluation": 0.3}  # seconds from its start to the kill


class ReportingTrainer(trainer.Trainer):
    """Writes what it does into a pipe."""

    write_fd = 0

    @classmethod
    @contextmanager
    def doing(cls, what: str) -> Iterator[None]:
        if comm.is_main_process():
            os.write(cls.write_fd, f"{what}\n".encode())
        yield
        if comm.is_main_process():
            os.write(cls.write_fd, b"other\n")

    def build_hooks(self) -> list:
        return [LossLog(), *super().build_hooks()]

    def run_step(self) -> None:
        with self.doing("step"):
            super().run_step()

    @classmethod
    def test(cls, cfg, model, evaluators=None) -> dict:
        with cls.doing("evaluation"):
            return super().test(cfg, model, evaluators)


class LossLog(HookBase):
    """The unrounded loss of every step."""

    def after_step(self) -> None:
        if comm.is_main_process():
            loss = self.trainer.storage.history("total_loss").latest()
            with open(Path(self.trainer.cfg.OUTPUT_DIR).parent / "losses.txt", "a") as file:
                file.write(f"{self.trainer.iter} {loss.hex()}\n")


def start(folder: Path, task: str, processes: int, workers: int) -> tuple[int, int]:
    """The leader of a new process group that trains, and a pipe that says what it does."""
    read_fd, write_fd = os.pipe()
    leader = os.fork()
    if leader:
        os.close(write_fd)
        return leader, read_fd
    try:
        os.setsid()
        os.close(read_fd)
        console = os.open(folder / "console.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(console, 1)
        os.dup2(console, 2)
        ReportingTrainer.write_fd = write_fd
        lead(folder, task, processes, workers)
        os._exit(0)
    except BaseException as error:
        end(error)


def end(error: BaseException) -> NoReturn:
    """As python ends, without what a forked process has no right to clean up."""
    traceback.print_exception(error)
    sys.stderr.flush()
    os._exit(int(error.code or 0) if isinstance(error, SystemExit) else 1)


def lead(folder: Path, task: str, processes: int, workers: int) -> None:
    write = checkpointer.write_checkpoint

    def write_reported(*arguments) -> None:
        with ReportingTrainer.doing("save"):
            write(*arguments)

    checkpointer.write_checkpoint = write_reported
    train.Trainer = ReportingTrainer
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    words = [*TASKS[task]]
    words += ["OUTPUT_DIR", str(folder / "out"), "DATALOADER.NUM_WORKERS", str(workers)]
    args = build_argument_parser().parse_args(words)
    if processes == 1:
        run(args)
        return
    rendezvous = f"file://{folder / f'rendezvous{os.getpid()}'}"
    ranks = []
    for rank in range(processes):  # forked: the launcher would import everything again
        ranks.append(os.fork())
        if not ranks[-1]:
            follow(args, rank, processes, rendezvous)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # they have received it
    statuses = [os.waitstatus_to_exitcode(os.waitpid(rank, 0)[1]) for rank in ranks]
    if any(statuses):
        raise SystemExit(max(statuses) if len(set(statuses)) == 1 else 1)


def follow(args: Namespace, rank: int, processes: int, rendezvous: str) -> NoReturn:
    try:
        dist.init_process_group("gloo", rendezvous, rank=rank, world_size=processes)
        comm._LOCAL_PROCESS_GROUP = dist.new_group(list(range(processes)))
        run(args)
        os._exit(0)
    except BaseException as error:
        end(error)


def end_in(phase: str, number: int, leader: int, read_fd: int) -> bool:
    """Send it in some such phase, at a random moment of it; False: the training ended before."""
    countdown = random.randint(1, 7) if phase == "step" else 1
    with os.fdopen(read_fd) as reports:
        for line in reports:
            countdown -= line.strip() == phase
            if countdown == 0:
                time.sleep(random.uniform(0, LONGEST[phase]))
                sent = time.monotonic()
                os.killpg(leader, number)
                doing = line.strip() if number != signal.SIGKILL else [line, *reports][-1].strip()
                status = os.waitstatus_to_exitcode(os.waitpid(leader, 0)[1])
                with open(Path(sys.argv[1]) / "deaths.txt", "a") as file:
                    file.write(f"{doing} {status} {time.monotonic() - sent:.1f}\n")
                return True
    return False


def main() -> None:
    folder, task = Path(sys.argv[1]), sys.argv[2]
    processes, workers = int(sys.argv[3]), int(sys.argv[4])
    numbers = [signal.Signals[name] for name in sys.argv[5:]]
    random.seed(workers + 10 * processes)
    phases = list(islice(cycle(["step", "save", "step", "evaluation", "step"]), len(numbers)))
    random.shuffle(phases)
    for phase, number in zip(phases, numbers, strict=True):
        leader, read_fd = start(folder, task, processes, workers)
        if not end_in(phase, number, leader, read_fd):
            sys.exit(f"it ended before {phase}")
    leader, read_fd = start(folder, task, processes, workers)
    with os.fdopen(read_fd) as reports:
        reports.read()
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(leader, 0)[1]))


if __name__ == "__main__":
    main()
