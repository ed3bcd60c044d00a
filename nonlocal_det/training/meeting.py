"""Where processes meet: the store through which they find each other's addresses."""

import datetime
import time
import uuid

import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from .place import Place

_POLL = 0.05  # s


def meet(place: Place, url: str, timeout: datetime.timedelta) -> dist.Store:
    """The store that this start of the processes has for itself.

    Args:
        place: this process's.
        url: ``env://`` under torchrun, ``tcp://HOST:PORT`` of a store that listens there already,
            or ``file://PATH``.
        timeout: for all of them to come.

    Raises:
        RuntimeError: not all did.
    """
    if url.startswith("tcp://"):  # of `launch`, whose own process keeps it
        host, _, port = url.removeprefix("tcp://").rpartition(":")
        return dist.TCPStore(host, int(port), is_master=False, timeout=timeout)
    found = rendezvous(url, rank=place.rank, world_size=place.world_size, timeout=timeout)
    store, _, _ = next(iter(found))
    store.set_timeout(timeout)
    return fresh_part(store, place, timeout)


def fresh_part(store: dist.Store, place: Place, timeout: datetime.timedelta) -> dist.Store:
    """A part of a store that holds nothing of processes that have died.

    torchrun keeps its store when it restarts the processes, and with it the addresses of the last
    ones, which torch then takes for those of the new (pytorch's 135712). So each process asks under
    a name that is new, and process 0 answers all with the same new one.

    Args:
        store: that all reach.
        place: this process's.
        timeout: for all of them to come.

    Raises:
        RuntimeError: process 0 does not answer, or one of the others never asks.
    """
    if place.rank > 0:
        me = uuid.uuid4().hex
        store.set(f"ask/{place.rank}", me)
        name = store.get(f"answer/{me}").decode()
        store.set(f"{name}/here/{place.rank}", "")
        return dist.PrefixStore(name, store)
    name = uuid.uuid4().hex
    missing = list(range(1, place.world_size))
    end = time.monotonic() + timeout.total_seconds()
    while missing:
        for rank in missing:
            if store.check([f"ask/{rank}"]):  # a dead one's question, until the new one has asked
                store.set(f"answer/{store.get(f'ask/{rank}').decode()}", name)
        missing = [rank for rank in missing if not store.check([f"{name}/here/{rank}"])]
        if missing and time.monotonic() > end:
            raise RuntimeError(f"without {', '.join(map(str, missing))}")
        time.sleep(_POLL if missing else 0)
    return dist.PrefixStore(name, store)
