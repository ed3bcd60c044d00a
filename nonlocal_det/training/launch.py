"""Processes for training: those that torchrun has started, or as many as ``--num-gpus`` says."""

import contextlib
import datetime
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.distributed.elastic.multiprocessing.errors import record

from .group import TIMEOUT, run_in_group
from .place import Place, place_from_environment
from .watch import watch


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

    Under torchrun this is one of them already. Else ``num_processes`` are started here; this
    process watches them, ends the others when one is lost, and passes signals on. A GPU a process
    over NCCL; without CUDA they share the cores and talk over gloo.

    Args:
        main: picklable, called in each process.
        num_processes: on this machine (``--num-gpus``).
        num_machines: machines that take part.
        machine_rank: which one this is, from 0.
        dist_url: where the processes meet, as ``tcp://10.0.0.1:29500`` of the first machine;
            ``auto``: at a free port of this one.
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
        ValueError: torchrun's variables are wrong, or the options contradict them.
        SystemExit: a process failed, with its exit status (128 + n after signal n).
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    place = place_from_environment()
    if place is not None:
        _refuse_both(num_processes, num_machines, machine_rank)
        record(run_in_group)(main, args, place, "env://", device, timeout)
        return
    world_size = num_processes * num_machines
    if world_size == 1:
        main(*args)
        return
    _check(num_processes, num_machines, machine_rank, dist_url, device)
    url, store = _meeting_place(dist_url, machine_rank, timeout)
    places = [
        Place(machine_rank * num_processes + n, world_size, n, str(machine_rank))
        for n in range(num_processes)
    ]
    started = mp.spawn(
        _worker,
        args=(main, args, places, url, device, timeout),
        nprocs=num_processes,
        join=False,
    )
    status = watch(started.processes, [str(place) for place in places], timeout)
    del store  # until now
    if status:
        raise SystemExit(status)


def _worker(
    number: int,
    main: Callable[..., Any],
    args: tuple[Any, ...],
    places: list[Place],
    url: str,
    device: str,
    timeout: datetime.timedelta,
) -> None:
    try:
        run_in_group(main, args, places[number], url, device, timeout)
    except KeyboardInterrupt:  # torch would call it a success
        sys.exit(128 + signal.SIGINT)
    except Exception:  # torch would keep it for a parent that only waits for an exit status
        sys.stderr.write(f"{places[number]}:\n{traceback.format_exc()}")
        sys.exit(1)


def _refuse_both(num_processes: int, num_machines: int, machine_rank: int) -> None:
    given = [
        f"{option} {value}"
        for option, value, default in (
            ("--num-gpus", num_processes, 1),
            ("--num-machines", num_machines, 1),
            ("--machine-rank", machine_rank, 0),
        )
        if value != default
    ]
    if given:
        raise ValueError(
            f"{' '.join(given)} under torchrun, which has started the processes already: leave "
            f"{'it' if len(given) == 1 else 'them'} out (torchrun has --nproc-per-node, --nnodes "
            "and --node-rank), or start with python"
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
            f"--dist-url auto with --num-machines {num_machines}: the machines must know where to "
            "meet; give all of them --dist-url tcp://HOST:PORT of the first one"
        )
    if dist_url != "auto" and not dist_url.startswith(("tcp://", "file://")):
        raise ValueError(f"--dist-url {dist_url}: expected tcp://HOST:PORT, file://PATH or auto")


def _meeting_place(
    dist_url: str, machine_rank: int, timeout: datetime.timedelta
) -> tuple[str, dist.Store | None]:
    """The address for the processes, and on the first machine the store that listens there.

    It is kept here and not in process 0, as torch does: who is left can still talk without it.
    """
    if dist_url.startswith("file://") or machine_rank > 0:
        return dist_url, None
    host, port = "127.0.0.1", 0
    if dist_url != "auto":
        host, _, given = dist_url.removeprefix("tcp://").rpartition(":")
        with contextlib.suppress(ValueError):
            port = int(given)
        if not host or not 0 < port < 2**16:
            raise ValueError(f"--dist-url {dist_url}: expected tcp://HOST:PORT, a port below 65536")
    try:
        store = dist.TCPStore(host, port, is_master=True, wait_for_workers=False, timeout=timeout)
    except RuntimeError as error:
        raise ValueError(
            f"--dist-url {dist_url}: cannot listen there ({str(error).strip().splitlines()[0]}); "
            "another training may use the port: choose another one, or --dist-url auto"
        ) from error
    return f"tcp://{host}:{store.port}", store
