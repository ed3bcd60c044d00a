"""A training on the CPU that is killed again and again: one python, which forks every start of it.

As a script: ``killed_training.py FOLDER PROCESSES WORKERS KILLS``. ``FOLDER/losses.txt`` gets a line
for every step, ``FOLDER/deaths.txt`` one for every kill: what the training was doing.
"""

import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from detectron2.engine import HookBase
from detectron2.utils import comm

from nonlocal_det.checkpoint import checkpointer
from nonlocal_det.engine import build_argument_parser, launch, train, trainer

OPTIONS = [
    *("SOLVER.IMS_PER_BATCH", "4", "SOLVER.STEPS", "(40,)", "SOLVER.MAX_ITER", "60"),
    *("SOLVER.CHECKPOINT_PERIOD", "4", "TEST.EVAL_PERIOD", "10", "SOLVER.BASE_LR", "0.002"),
    *("INPUT.MIN_SIZE_TRAIN", "(48, 56, 64)", "INPUT.MIN_SIZE_TEST", "64", "MODEL.DEVICE", "cpu"),
    *("MODEL.RESNETS.DEPTH", "50", "MODEL.RESNETS.RES2_OUT_CHANNELS", "16"),
    *("MODEL.RESNETS.STEM_OUT_CHANNELS", "8", "MODEL.RESNETS.WIDTH_PER_GROUP", "4"),
    *("MODEL.FPN.OUT_CHANNELS", "16", "MODEL.ROI_BOX_HEAD.FC_DIM", "16"),
    *("MODEL.ROI_MASK_HEAD.CONV_DIM", "8", "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", str((8,) * 8)),
    *("TEST.EXPECTED_RESULTS", "[]", "TEST.DETECTIONS_PER_IMAGE", "5"),
]
LONGEST = {"step": 0.15, "save": 0.04, "evaluation": 0.3}  # seconds from its start to the kill


class Told(trainer.Trainer):
    """Says what it does."""

    mouth = 0

    @classmethod
    @contextmanager
    def doing(cls, what: str) -> Iterator[None]:
        if comm.is_main_process():
            os.write(cls.mouth, f"{what}\n".encode())
        yield
        if comm.is_main_process():
            os.write(cls.mouth, b"other\n")

    def build_hooks(self) -> list:
        return [*super().build_hooks(), LossLog()]

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


def start(folder: Path, processes: int, workers: int) -> tuple[int, int]:
    """The leader of a new process group that trains, and a pipe that says what it does."""
    ear, mouth = os.pipe()
    leader = os.fork()
    if leader:
        os.close(mouth)
        return leader, ear
    try:
        os.setsid()
        os.close(ear)
        console = os.open(folder / "console.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(console, 1)
        os.dup2(console, 2)
        Told.mouth = mouth
        lead(folder, processes, workers)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def lead(folder: Path, processes: int, workers: int) -> None:
    write = checkpointer.write_checkpoint

    def write_told(*arguments) -> None:
        with Told.doing("save"):
            write(*arguments)

    checkpointer.write_checkpoint = write_told
    train.Trainer = Told
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    words = ["--config-file", "quick/nl_mask_keypoint_rcnn_R18", "--resume", *OPTIONS]
    words += ["OUTPUT_DIR", str(folder / "out"), "DATALOADER.NUM_WORKERS", str(workers)]
    args = build_argument_parser().parse_args(words)
    if processes == 1:
        train.main(args)
        return
    meeting = f"file://{folder / f'meeting{os.getpid()}'}"
    ranks = []
    for rank in range(processes):  # forked: the launcher would import everything again
        ranks.append(os.fork())
        if not ranks[-1]:
            launch._cpu_worker(rank, train.main, processes, 1, 0, meeting, (args,))
            os._exit(0)
    for rank in ranks:
        if os.waitpid(rank, 0)[1]:
            raise RuntimeError("a process has failed")


def kill_in(phase: str, leader: int, ear: int) -> bool:
    """Kill the group in some such phase, at a random moment of it; False: it has ended before."""
    countdown = random.randint(1, 7) if phase == "step" else 1
    with os.fdopen(ear) as told:
        for line in told:
            countdown -= line.strip() == phase
            if countdown == 0:
                time.sleep(random.uniform(0, LONGEST[phase]))
                os.killpg(leader, signal.SIGKILL)
                rest = [line, *told]
                with open(Path(sys.argv[1]) / "deaths.txt", "a") as file:
                    file.write(rest[-1])
                os.waitpid(leader, 0)
                return True
    return False


def main() -> None:
    folder, processes, workers, kills = Path(sys.argv[1]), *map(int, sys.argv[2:])
    random.seed(kills + 10 * workers + 100 * processes)
    phases = [*["step"] * (kills - 5), *["save"] * 3, *["evaluation"] * 2] if kills else []
    random.shuffle(phases)
    for phase in phases:
        leader, ear = start(folder, processes, workers)
        if not kill_in(phase, leader, ear):
            sys.exit(f"it ended before it could be killed in {phase}")
    leader, ear = start(folder, processes, workers)
    with os.fdopen(ear) as told:
        told.read()
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(leader, 0)[1]))


if __name__ == "__main__":
    main()
