"""What the processes of the launcher's tests do: functions that another process can import."""

import os
import signal
import time

import torch
import torch.distributed as dist
from detectron2.utils import comm


def report(folder: str) -> None:
    """Leave who this is, by a file a rank."""
    total = torch.tensor([2.0 ** comm.get_rank()])
    dist.all_reduce(total)
    with open(f"{folder}/{comm.get_rank()}", "w") as file:
        sizes = f"{comm.get_world_size()} {comm.get_local_rank()} {comm.get_local_size()}"
        file.write(f"{sizes} {total.item():g} {torch.get_num_threads()}")


def lose_one(rank: int, how: str) -> None:
    """Process ``rank`` is lost in its second step, while the others wait for its sum."""
    for step in range(1000):
        if step == 1 and comm.get_rank() == rank:
            if how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            elif how == "exit":
                os._exit(3)
            elif how == "stopped":
                os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(1000)  # how == "hung"
        dist.all_reduce(torch.ones(1))


def fail(message: str) -> None:
    """All processes find the same fault, as with a config that cannot work."""
    from nonlocal_det.cli.errors import one_line_errors
    from nonlocal_det.configs import load_config
    from nonlocal_det.training.scaling import fit_to_processes

    with one_line_errors():
        cfg = load_config(message)
        cfg.SOLVER.IMS_PER_BATCH = 3
        fit_to_processes(cfg, comm.get_world_size())


def finish_on_signal(folder: str) -> None:
    """As a training does: go on until a signal asks for the end, then save and end with it.

    Torch's launcher sends the others another SIGTERM once the first has ended, and waits 30 s.
    """
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda n, frame: asked.append(n))
    open(f"{folder}/ready{comm.get_rank()}", "w").close()
    while not asked:
        time.sleep(0.05)
    time.sleep(0.2 if comm.get_rank() else 4)  # the first process has more to save
    open(f"{folder}/saved{comm.get_rank()}", "w").close()
    os._exit(128 + asked[0])  # at once: its last second is no part of the test
