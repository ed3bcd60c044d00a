"""Two processes whose training a signal ends while one evaluates and the other waits for it.

``stopped_processes.py FOLDER RANK BACKEND START``: process RANK evaluates for a minute, after the
second step; with START 2 as a resumed training that repeats it. Each leaves ``FOLDER/<rank>.pid``
once it is there and ``FOLDER/<rank>.status`` as it ends. Where BACKEND is nccl, its barrier is
imitated on the CPU: one that waits on when others are gone.
"""

import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import torch.distributed as dist
from detectron2.config import get_cfg
from detectron2.engine.hooks import EvalHook
from detectron2.engine.train_loop import TrainerBase
from detectron2.utils import comm
from torch import nn

from nonlocal_det.training import Trainer as OurTrainer
from nonlocal_det.training import launch, process_group


class RecordingCheckpointer:
    """In place of a checkpointer: says what it was asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, name: str, **_: int) -> None:
        with open(self.folder / "saved.txt", "a") as file:
            file.write(f"{name}\n")


class Evaluation(EvalHook):
    """After the second step, as Detectron2's: all wait for who takes longest."""

    def __init__(self, longest: int) -> None:
        super().__init__(0, dict)
        self.longest = longest

    def after_step(self) -> None:
        if self.trainer.iter != 1:
            return
        if comm.get_rank() == self.longest:
            self.trainer.test(self.trainer.cfg, nn.Identity())
        self.trainer.arrived()
        comm.synchronize()


class Trainer(OurTrainer):
    """Steps that do nothing."""

    data_loader = None
    folder = Path()

    def __init__(self, longest: int, start: int) -> None:
        TrainerBase.__init__(self)
        self.cfg = get_cfg()
        self.cfg.DATASETS.TEST = ("any",)
        self.start_iter, self.max_iter = start, 5
        self.step = SimpleNamespace(stop_asked=0)
        self.checkpointer = RecordingCheckpointer(self.folder)
        self.register_hooks([Evaluation(longest)])

    def run_step(self) -> None:
        pass

    @classmethod
    def arrived(cls) -> None:
        (cls.folder / f"{comm.get_rank()}.pid").write_text(str(os.getpid()))

    @classmethod
    def build_test_loader(cls, cfg, dataset_name):
        cls.arrived()
        time.sleep(60)


def waiting_barrier() -> None:
    """Wait as NCCL's, which does not notice that another process has left."""
    try:
        dist.barrier()
    except RuntimeError:
        time.sleep(600)


def imitate_nccl() -> None:
    process_group.dist = SimpleNamespace(**{**vars(dist), "get_backend": lambda: "nccl"})
    comm.synchronize = waiting_barrier


def main(folder: str, longest: str, start: str) -> None:
    Trainer.folder = Path(folder)
    status: object = 0
    try:
        Trainer(int(longest), int(start)).train()
    except SystemExit as stop:
        status = stop.code
        raise
    except BaseException as error:
        status = repr(error)
        raise
    finally:
        (Path(folder) / f"{comm.get_rank()}.status").write_text(str(status))


if sys.argv[3] == "nccl":
    imitate_nccl()  # in the processes that are spawned too
if __name__ == "__main__":
    launch(main, 2, device="cpu", args=(*sys.argv[1:3], sys.argv[4]))
