"""Start the processes of a training with torch's own launcher, the function behind torchrun."""

import datetime
import logging
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, record
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from .process_group import TIMEOUT, has_launcher, run_worker
from .stop import STOPPING, TOGETHER

_PRINTED = (1, *(128 + number for number in STOPPING))
"""Exit statuses of a process that has already printed why."""


def launch(
    main: Callable[..., Any],
    num_processes: int = 1,
    *,
    num_machines: int = 1,
    machine_rank: int = 0,
    dist_url: str = "auto",
    device: str = "",
    timeout: datetime.timedelta = TIMEOUT,
    args: tuple[Any, ...] = (),
) -> None:
    """Run ``main(*args)`` in each process of a training.

    Under torchrun this is one of them already, and a single process needs no process group. Else
    torch's launcher starts ``num_processes`` here and ends the others when one is lost. Each has a
    GPU and uses NCCL; without CUDA they share the cores and use gloo.

    Args:
        main: picklable, called in each process.
        num_processes: on this machine (``--num-gpus``).
        num_machines: machines that take part.
        machine_rank: which one this is, from 0.
        dist_url: ``tcp://HOST:PORT`` of the first machine; ``auto``: a free port of this one.
        device: ``MODEL.DEVICE``; by default CUDA where there is a GPU.
        timeout: how long a process waits for the others before it ends with an error.
        args: of ``main``.

    Note:
        Gradients are averaged over the processes, so N of them have those of one with the whole
        batch (a test: 1e-5) where a loss is a mean over images or RoIs of which each process has as
        many: RPN and box losses, and the mask's where each has as many positives. Not so: batch
        norms but SyncBN; keypoints' losses by visible keypoints (their default); RoIs drawn by each
        process's own random numbers; zeros that pad a batch to its largest image.

    Raises:
        ValueError: the options contradict each other, this machine, or torchrun.
        SystemExit: a process failed, with its exit status (128 + n after signal n).
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if has_launcher():
        _refuse_options_of_torchrun(num_processes, num_machines, machine_rank)
        record(run_worker)(main, args, device, timeout)
        return
    if num_processes == num_machines == 1:
        main(*args)
        return
    _check(num_processes, num_machines, machine_rank, dist_url, device)
    with tempfile.TemporaryDirectory(prefix="nonlocal_det_") as folder:
        config = LaunchConfig(
            min_nodes=num_machines,
            max_nodes=num_machines,
            nproc_per_node=num_processes,
            logs_specs=DefaultLogsSpecs(log_dir=folder),  # tracebacks for the failure table
            run_id="nonlocal_det",
            max_restarts=0,
            monitor_interval=0.1,
            **_rendezvous(dist_url, machine_rank, timeout),
        )
        _run(config, (main, args, device, timeout))


def _rendezvous(dist_url: str, machine_rank: int, timeout: datetime.timedelta) -> dict[str, Any]:
    if dist_url == "auto":  # as `torchrun --standalone`
        endpoint = {"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0"}
        return {**endpoint, "local_addr": "127.0.0.1"}
    return {
        "rdzv_backend": "static",
        "rdzv_endpoint": dist_url.removeprefix("tcp://"),
        "rdzv_configs": {"rank": machine_rank, "timeout": max(1, int(timeout.total_seconds()))},
    }


def _run(config: LaunchConfig, arguments: tuple[Any, ...]) -> None:
    """Run torch's launcher in a thread.

    In the main thread it takes the signals, and kills processes that still save 30 seconds later.
    """
    for name in ("torch.distributed.elastic.multiprocessing.api", "torch.multiprocessing.spawn"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # the failure table has it all
    with _forward_signals() as received, ThreadPoolExecutor(1) as thread:
        try:
            thread.submit(elastic_launch(config, run_worker), *arguments).result()
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            if received:
                raise SystemExit(128 + received[0]) from None
            if failure.exitcode not in _PRINTED or os.path.isfile(failure.error_file):
                why = " (was it out of memory?)" if failure.exitcode == -9 else ""
                sys.stderr.write(
                    f"{error}\nerror: process {rank} failed{why}, and the others were ended; "
                    "continue with --resume\n"
                )
            status = failure.exitcode
            raise SystemExit(status if status > 0 else 128 - status) from None
        except RuntimeError as error:  # before there are processes
            raise ValueError(
                f"--dist-url {config.rdzv_endpoint}: cannot listen or connect there "
                f"({str(error).strip().splitlines()[0]}); another training may use the port, or a "
                "machine is not started: choose another one, or --dist-url auto"
            ) from error


@contextmanager
def _forward_signals() -> Iterator[list[int]]:
    """Send SIGTERM and SIGINT to the processes; a second one, later, kills them.

    Yields:
        The signals that have come.
    """
    received: list[int] = []
    first = 0.0

    def forward(number: int, frame: FrameType | None) -> None:
        nonlocal first
        again = bool(received) and time.monotonic() - first > TOGETHER
        processes = multiprocessing.active_children()
        if not processes:
            os._exit(128 + number)
        for process in processes:
            if again:
                process.kill()
            elif not received and process.pid:
                os.kill(process.pid, number)
        first = first or time.monotonic()
        received.append(number)

    before = {number: signal.signal(number, forward) for number in STOPPING}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _refuse_options_of_torchrun(num_processes: int, num_machines: int, machine_rank: int) -> None:
    given = f"--num-gpus {num_processes}" if num_processes != 1 else ""
    if (num_machines, machine_rank) != (1, 0):
        given += f" --num-machines {num_machines} --machine-rank {machine_rank}"
    if given:
        raise ValueError(
            f"{given.strip()} under torchrun, which has started the processes already: leave it "
            "out (torchrun has --nproc-per-node, --nnodes, --node-rank), or start with python"
        )


def _check(
    num_processes: int, num_machines: int, machine_rank: int, dist_url: str, device: str
) -> None:
    if num_processes < 1 or num_machines < 1 or not 0 <= machine_rank < num_machines:
        raise ValueError(
            f"--num-gpus {num_processes} --num-machines {num_machines} --machine-rank "
            f"{machine_rank}: expected 1 or more of each, and a rank from 0 to machines - 1"
        )
    if device.startswith("cuda") and num_processes > torch.cuda.device_count():
        raise ValueError(
            f"--num-gpus {num_processes}, but this machine has {torch.cuda.device_count()} GPUs; "
            "give --num-gpus as many, or MODEL.DEVICE cpu"
        )
    if dist_url == "auto" and num_machines > 1:
        raise ValueError(
            f"--dist-url auto with --num-machines {num_machines}: the machines need one address; "
            "give all of them --dist-url tcp://HOST:PORT of the first one"
        )
    host, _, port = dist_url.removeprefix("tcp://").rpartition(":")
    if dist_url != "auto" and not (
        dist_url.startswith("tcp://") and host and port.isdecimal() and 0 < int(port) < 2**16
    ):
        raise ValueError(
            f"--dist-url {dist_url}: expected tcp://HOST:PORT, a port below 65536, or auto"
        )
