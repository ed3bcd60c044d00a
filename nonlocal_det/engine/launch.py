"""Processes for training: Detectron2's launcher on GPUs, the same over gloo on CPUs."""

import datetime
import os
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from detectron2.engine import launch as launch_gpus
from detectron2.utils import comm

TIMEOUT = datetime.timedelta(minutes=30)


def launch(
    main: Callable[..., Any],
    num_processes: int,
    *,
    num_machines: int = 1,
    machine_rank: int = 0,
    dist_url: str,
    args: tuple[Any, ...] = (),
) -> None:
    """Run ``main(*args)`` in ``num_processes`` processes on this machine.

    On a machine with CUDA this is Detectron2's launcher, a GPU a process. Without CUDA, where the
    0.6 release refuses, the processes share the CPU's cores and talk over gloo.

    Args:
        main: picklable, called in each process.
        num_processes: on this machine (``--num-gpus``).
        num_machines: machines that take part.
        machine_rank: which one this is, from 0.
        dist_url: where the processes meet, as ``tcp://127.0.0.1:29500``.
        args: of ``main``.
    """
    if torch.cuda.is_available() or num_processes * num_machines == 1:
        launch_gpus(
            main,
            num_processes,
            num_machines=num_machines,
            machine_rank=machine_rank,
            dist_url=dist_url,
            args=args,
        )
        return
    mp.spawn(
        _cpu_worker,
        nprocs=num_processes,
        args=(main, num_processes, num_machines, machine_rank, dist_url, args),
    )


def _cpu_worker(
    local_rank: int,
    main: Callable[..., Any],
    num_processes: int,
    num_machines: int,
    machine_rank: int,
    dist_url: str,
    args: tuple[Any, ...],
) -> None:
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // num_processes))
    dist.init_process_group(
        backend="gloo",
        init_method=dist_url,
        world_size=num_processes * num_machines,
        rank=machine_rank * num_processes + local_rank,
        timeout=TIMEOUT,
    )
    _create_local_group(num_processes, num_machines, machine_rank)
    comm.synchronize()
    try:
        main(*args)
    finally:
        dist.destroy_process_group()


def _create_local_group(num_processes: int, num_machines: int, machine_rank: int) -> None:
    """Tell Detectron2 which processes share this machine."""
    if hasattr(comm, "create_local_process_group"):
        comm.create_local_process_group(num_processes)
        return
    for machine in range(num_machines):  # the 0.6 release has no function for it
        first = machine * num_processes
        group = dist.new_group(list(range(first, first + num_processes)))
        if machine == machine_rank:
            comm._LOCAL_PROCESS_GROUP = group
