"""One process of several: its rank from the environment, its process group, and how it ends."""

import atexit
import datetime
import hashlib
import logging
import os
import re
import signal
import socket
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from detectron2.utils import comm
from torch.distributed.rendezvous import rendezvous

logger = logging.getLogger("nonlocal_det")
TIMEOUT = datetime.timedelta(minutes=30)
_PAUSE = 2.0  # s, in which the other processes may notice the loss as well
_POLL = 0.05  # s
_LOST = re.compile(  # in gloo's messages; NCCL has an error class
    "Connection (closed|reset) by peer|Timed out waiting|Application timeout|Broken pipe"
    "|Connection refused|Socket (closed|Timeout)|peer closed"
)


def has_launcher() -> bool:
    """Tell whether torch's launcher, or one that sets the same variables, started this process."""
    several = "RANK" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1"
    return several or "TORCHELASTIC_RUN_ID" in os.environ


def run_worker(
    main: Callable[..., Any], args: tuple[Any, ...], device: str, timeout: datetime.timedelta
) -> None:
    """Join the process group, run ``main(*args)``, and end this process without a loose thread.

    Args:
        main: what to run; a SystemExit with a line is printed by one process only.
        args: of ``main``.
        device: ``MODEL.DEVICE``; with CUDA the processes use NCCL, else gloo.
        timeout: how long a process waits for the others.

    Raises:
        Exception: as ``main``.
    """
    try:
        with log_on_one_rank():
            join_process_group(device, timeout)
            with _explain_lost_peer(timeout):
                main(*args)
    except KeyboardInterrupt:  # torch would call it a success
        _leave(128 + signal.SIGINT)
    except SystemExit as stop:
        if stop.code not in (None, 0):
            _leave(stop.code if isinstance(stop.code, int) else 1)
    if dist.is_initialized():
        dist.destroy_process_group()  # not after an error: it could wait for a lost process
    atexit.register(_leave, 0)  # torch's launcher waits for this function to return


def _leave(status: int) -> NoReturn:
    """End the process without finalising the interpreter.

    There torch's gloo threads abort now and then ("terminate called without an active exception"),
    and a process that has succeeded, or stopped when asked, would look failed.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def join_process_group(device: str, timeout: datetime.timedelta) -> None:
    """Initialise the process group, and Detectron2's groups of the processes of a machine.

    A single process needs none. Detectron2's own functions make groups with a timeout of 30
    minutes, of as many processes on each machine.

    Raises:
        SystemExit: a variable of torchrun is wrong, this machine has fewer GPUs than processes, or
            not all processes come in time.
    """
    try:
        rank, world_size, local = (
            int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")
        )
        address = f"{os.environ['MASTER_ADDR']}:{int(os.environ['MASTER_PORT'])}"
    except (KeyError, ValueError) as error:
        raise SystemExit(
            f"error: RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT: {error!r}; start "
            "with torchrun, which sets all, or unset RANK and WORLD_SIZE to train without it"
        ) from error
    cuda = device.startswith("cuda")
    if cuda and local >= torch.cuda.device_count():
        raise SystemExit(
            f"error: LOCAL_RANK={local}, and this machine has {torch.cuda.device_count()} GPUs; "
            "start as many processes as it has (--num-gpus, --nproc-per-node)"
        )
    if cuda:
        torch.cuda.set_device(local)
    if world_size == 1:
        return
    try:
        store, *_ = next(iter(rendezvous("env://", timeout=timeout)))
        store.set_timeout(timeout)
        store = prefixed_store(store, rank, world_size, timeout)
        backend = "nccl" if cuda else "gloo"
        dist.init_process_group(
            backend, store=store, rank=rank, world_size=world_size, timeout=timeout
        )
        if dist.get_backend() == "nccl":  # its barrier does not notice a process's end, as gloo's
            gloo = dist.new_group(backend="gloo", timeout=timeout)
            comm._get_global_gloo_group = lambda: gloo  # gathers objects over it
            comm.synchronize = lambda: dist.barrier(group=gloo)
        # two machines of torchrun can be one host; other launchers do not number their machines
        own = os.environ.get("GROUP_RANK") or socket.gethostname()
        machines = comm.all_gather(own)
        for machine in sorted(set(machines)):
            ranks = [rank for rank, name in enumerate(machines) if name == machine]
            group = dist.new_group(ranks, timeout=timeout)
            if machine == own:
                comm._LOCAL_PROCESS_GROUP = group
                _share_cores(len(ranks))
        comm.synchronize()
    except RuntimeError as error:
        raise SystemExit(
            f"error: process {rank} of {world_size}: not all came to {address} within "
            f"{_minutes(timeout)} ({_first_line(error)}); start each machine's with the same "
            "address and different numbers (--machine-rank, --node-rank); --timeout waits longer"
        ) from error


def prefixed_store(
    store: dist.Store, rank: int, world_size: int, timeout: datetime.timedelta
) -> dist.Store:
    """Agree on a prefix under which a store holds nothing of processes that have died.

    torchrun keeps its store when it restarts the processes, and torch then takes the addresses of
    the dead for those of the new (pytorch's issue 135712). So each process asks under a new name,
    and process 0 answers all with one new prefix.

    Raises:
        RuntimeError: process 0 does not answer, or another never asks.
    """
    if rank > 0:
        name = uuid.uuid4().hex
        store.set(f"ask/{rank}", name)
        prefix = store.get(f"answer/{name}").decode()
        store.set(f"{prefix}/here/{rank}", "")
        return dist.PrefixStore(prefix, store)
    prefix = uuid.uuid4().hex
    missing = list(range(1, world_size))
    end = time.monotonic() + timeout.total_seconds()
    while missing:
        for other in missing:
            if store.check([f"ask/{other}"]):  # perhaps of a dead one, until the new one asks
                store.set(f"answer/{store.get(f'ask/{other}').decode()}", prefix)
        missing = [other for other in missing if not store.check([f"{prefix}/here/{other}"])]
        if missing and time.monotonic() > end:
            raise RuntimeError(f"without {', '.join(map(str, missing))}")
        time.sleep(_POLL if missing else 0)
    return dist.PrefixStore(prefix, store)


def _share_cores(processes: int) -> None:
    """Divide the CPU's cores among a machine's processes, unless OMP_NUM_THREADS is set."""
    share = max(1, usable_cores() // processes)
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(share)
    elif torch.get_num_threads() != share and comm.get_rank() == 0:
        logger.info(
            f"{torch.get_num_threads()} CPU threads in each process, by OMP_NUM_THREADS (torchrun "
            f"sets 1); this machine's cores would allow {share}"
        )


def usable_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def is_lost_peer(error: BaseException | None) -> bool:
    """Tell whether an error means that another process ended, or did not answer in time."""
    return isinstance(error, RuntimeError) and (
        isinstance(error, dist.DistError) or bool(_LOST.search(str(error)))
    )


@contextmanager
def _explain_lost_peer(timeout: datetime.timedelta) -> Iterator[None]:
    """End with a line that names the processes that have not noticed that one is lost.

    It is among them. One that died on this machine is named by torch's launcher, which ends this
    one meanwhile.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_lost_peer(error):
            raise
        rank, world_size = comm.get_rank(), comm.get_world_size()
        silent = []
        try:
            store = dist.distributed_c10d._get_default_store()
            store.set(f"lost/{rank}", "")
            time.sleep(_PAUSE)
            silent = [str(n) for n in range(world_size) if not store.check([f"lost/{n}"])]
        except RuntimeError:  # the store was lost with the machine that kept it
            pass
        sys.stderr.write(f"process {rank} was here:\n{traceback.format_exc()}")
        raise SystemExit(
            f"error: process {' or '.join(silent) or '?'} of {world_size} ended or did not answer "
            f"within {_minutes(timeout)} ({_first_line(error)}); see its last lines above and in "
            "OUTPUT_DIR/log.txt*; continue with --resume, and where it was only slow, with a "
            "longer --timeout"
        ) from None


@contextmanager
def log_on_one_rank() -> Iterator[None]:
    """Print the last line of a process only if no other process has printed the same.

    Raises:
        SystemExit: as inside; with status 1 for a line.
    """
    try:
        yield
    except SystemExit as stop:
        if not isinstance(stop.code, str) or "LOCAL_RANK" not in os.environ:
            raise
        first = os.environ["LOCAL_RANK"] == "0"  # each process of a machine has the error
        if dist.is_initialized():
            key = f"printed/{hashlib.sha256(stop.code.encode()).hexdigest()}"
            try:
                first = dist.distributed_c10d._get_default_store().add(key, 1) == 1
            except RuntimeError:  # without the store: better twice than not at all
                first = True
        if first:
            sys.stderr.write(f"{stop.code}\n")
        raise SystemExit(1) from None


def _minutes(timeout: datetime.timedelta) -> str:
    return f"{timeout.total_seconds() / 60:g} minutes"


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200]
