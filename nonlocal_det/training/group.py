"""One process's way into the group of all, and its last words when others no longer answer."""

import datetime
import hashlib
import logging
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from detectron2.utils import comm

from nonlocal_det.cli.errors import one_line_errors

from .meeting import meet
from .place import Place

logger = logging.getLogger("nonlocal_det")
TIMEOUT = datetime.timedelta(minutes=30)
_PAUSE = 2.0  # s, in which the others may notice as well
_LOST = re.compile(  # how gloo says it; NCCL has an error class
    "Connection (closed|reset) by peer|Timed out waiting|Application timeout|Broken pipe"
    "|Connection refused|Socket (closed|Timeout)|peer closed"
)


def run_in_group(
    main: Callable[..., Any],
    args: tuple[Any, ...],
    place: Place,
    url: str,
    device: str,
    timeout: datetime.timedelta,
) -> None:
    """Meet the other processes, run ``main(*args)`` with them, and end this process.

    Args:
        main: what to run.
        args: of ``main``.
        place: this process's.
        url: where all meet, see `meet`.
        device: ``MODEL.DEVICE``; with CUDA the processes talk over NCCL, else over gloo.
        timeout: how long one waits for the others, once they have met too.

    Note:
        The status is 0, or what ``main`` exits with: 1 after a line, where this package or the loss
        of another process is the cause.

    Raises:
        SystemExit: with a line, where the processes did not meet.
    """
    try:
        with told_once(), one_line_errors():
            _join(place, url, device, timeout)
            with lost_peers(place, timeout):
                main(*args)
    except SystemExit as stop:
        if not isinstance(stop.code, int):
            raise
        _leave(stop.code)
    dist.destroy_process_group()  # not after an error: it could wait for who is not there
    _leave(0)


def _leave(status: int) -> NoReturn:
    """End a process that has nothing left to do, without taking the interpreter down.

    There torch's gloo threads abort now and then ("terminate called without an active exception"),
    and what has succeeded, or stopped as it was asked to, would look failed.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _join(place: Place, url: str, device: str, timeout: datetime.timedelta) -> None:
    if device.startswith("cuda"):
        count = torch.cuda.device_count()
        if place.local_rank >= count:
            raise ValueError(
                f"{place} has number {place.local_rank} on its machine, which has {count} GPUs; "
                "start as many processes as it has (--num-gpus, --nproc-per-node)"
            )
        torch.cuda.set_device(place.local_rank)
    try:
        dist.init_process_group(
            "nccl" if device.startswith("cuda") else "gloo",
            store=meet(place, url, timeout),
            rank=place.rank,
            world_size=place.world_size,
            timeout=timeout,
        )
        _group_by_machine(place, timeout)
        comm.synchronize()
    except RuntimeError as error:
        raise ValueError(
            f"{place}: not all of them met at {url} within {_minutes(timeout)} "
            f"({_first_line(error)}); start each machine's with the same address, and numbers that "
            "differ (--machine-rank, --node-rank); --timeout waits longer"
        ) from error


def _group_by_machine(place: Place, timeout: datetime.timedelta) -> None:
    """Tell Detectron2 who shares a machine, also where machines have not as many processes.

    Its own functions make groups that wait for 30 minutes, whatever the user says. NCCL's barrier
    does not hear that a process has left: gloo's does, at once.
    """
    if dist.get_backend() == "nccl":
        plain = dist.new_group(backend="gloo", timeout=timeout)
        comm._get_global_gloo_group = lambda: plain  # gathers objects over it
        comm.synchronize = lambda: dist.barrier(group=plain)
    machines = comm.all_gather(place.machine)
    for machine in sorted(set(machines)):
        ranks = [rank for rank, name in enumerate(machines) if name == machine]
        group = dist.new_group(ranks, timeout=timeout)
        if machine == place.machine:
            comm._LOCAL_PROCESS_GROUP = group
            _share_cores(len(ranks))


def _share_cores(processes: int) -> None:
    """Divide the CPU's cores among a machine's processes, unless the user or torchrun has."""
    share = max(1, len(os.sched_getaffinity(0)) // processes)
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(share)
    elif torch.get_num_threads() != share and comm.get_rank() == 0:
        logger.info(
            f"{torch.get_num_threads()} CPU threads in each process, by OMP_NUM_THREADS (torchrun "
            f"sets 1); this machine's cores would allow {share}"
        )


def is_loss(error: RuntimeError) -> bool:
    """Whether it says that another process of the group is gone, or did not answer in time."""
    return isinstance(error, dist.DistError) or bool(_LOST.search(str(error)))


@contextmanager
def lost_peers(place: Place, timeout: datetime.timedelta) -> Iterator[None]:
    """End with a line that says so when a process waits in vain for another.

    Args:
        place: this process's.
        timeout: of the group.

    Raises:
        SystemExit: the connection to another process broke, or it did not answer in time.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_loss(error):
            raise
        sys.stderr.write(f"{place} was here:\n{traceback.format_exc()}")
        raise SystemExit(
            f"error: {_silent(place)} ended or did not answer within {_minutes(timeout)} "
            f"({_first_line(error)}); see its last lines above and in OUTPUT_DIR/log.txt*; "
            "continue with --resume, and where it was only slow, with a longer --timeout"
        ) from None


def _silent(place: Place) -> str:
    """The processes that have not noticed that one is lost: it is among them."""
    try:
        store = dist.distributed_c10d._get_default_store()
        store.set(f"lost/{place.rank}", "")
        time.sleep(_PAUSE)
        silent = [str(n) for n in range(place.world_size) if not store.check([f"lost/{n}"])]
    except RuntimeError:  # the store went with the process or machine that kept it
        return f"a process of {place.world_size}, the one that keeps their meeting place,"
    if not silent:
        return f"a process of {place.world_size}"
    return f"process {' or '.join(silent)} of {place.world_size}"


@contextmanager
def told_once() -> Iterator[None]:
    """Print the last line of a process only if no other has printed the same.

    Raises:
        SystemExit: as the one inside; with status 1 for a line.
    """
    try:
        yield
    except SystemExit as stop:
        if not isinstance(stop.code, str) or not _among_others():
            raise
        if _is_first_with(stop.code):
            sys.stderr.write(f"{stop.code}\n")
        raise SystemExit(1) from None


def _among_others() -> bool:
    return dist.is_initialized() or "LOCAL_RANK" in os.environ


def _is_first_with(line: str) -> bool:
    if not dist.is_initialized():  # wrong before they met: in each process of a machine
        return os.environ["LOCAL_RANK"] == "0"
    key = f"told/{hashlib.sha256(line.encode()).hexdigest()}"
    try:
        return bool(dist.distributed_c10d._get_default_store().add(key, 1) == 1)
    except RuntimeError:  # nobody keeps count any more: better twice than not at all
        return True


def _minutes(timeout: datetime.timedelta) -> str:
    return f"{timeout.total_seconds() / 60:g} minutes"


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200]
