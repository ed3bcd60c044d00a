"""Processes that a restart brings together find each other, not those that have died."""

import datetime
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch.distributed as dist

from nonlocal_det.training.meeting import fresh_part
from nonlocal_det.training.place import Place

SHORT = datetime.timedelta(seconds=0.3)
LONG = datetime.timedelta(seconds=20)


def meet(store, ranks, timeout=LONG, world_size=3):
    """The parts that the ranks get, each in a thread of its own."""
    with ThreadPoolExecutor() as threads:
        places = [Place(rank, world_size, rank, "0") for rank in ranks]
        waiting = [threads.submit(fresh_part, store, place, timeout) for place in places]
        return [one.result() for one in waiting]


@pytest.fixture
def store():
    """As torchrun's: it stays while processes come and go."""
    made = dist.HashStore()
    made.set_timeout(datetime.timedelta(seconds=1))
    return made


def test_all_share_a_part_that_is_empty_after_each_restart(store):
    for start in ("first", "second"):
        parts = meet(store, (2, 0, 1))
        assert not any(part.check(["address"]) for part in parts)
        parts[0].set("address", start)
        assert [part.get("address").decode() for part in parts] == [start] * 3


def test_those_who_died_before_they_met_do_not_matter(store):
    with pytest.raises(RuntimeError, match="without 2"):
        meet(store, (0, 1), timeout=SHORT)
    parts = meet(store, (1, 2, 0))
    parts[1].set("address", "new")
    assert [part.get("address").decode() for part in parts] == ["new"] * 3


def test_without_process_0_the_others_do_not_wait_for_ever(store):
    with pytest.raises(RuntimeError):
        meet(store, (1, 2))
