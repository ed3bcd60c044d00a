"""A process's rank from the environment, the store of a start, and errors printed once."""

import datetime
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch.distributed as dist

from nonlocal_det.cli.train import main
from nonlocal_det.training.process_group import (
    has_launcher,
    join_process_group,
    prefixed_store,
    usable_cores,
)

TORCHRUN = {  # of the third process in all, the first of the second machine
    "TORCHELASTIC_RUN_ID": "none",
    "RANK": "2",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "0",
    "GROUP_RANK": "1",
    "MASTER_ADDR": "10.0.0.1",
    "MASTER_PORT": "29500",
}
SINGLE = {"RANK": "0", "WORLD_SIZE": "1"}
CONFIG = ["--config-file", "quick/nl_mask_keypoint_rcnn_R18", "MODEL.DEVICE", "cpu"]


@pytest.fixture
def set_environ(monkeypatch):
    """Sets torchrun's variables to those given, and no others."""

    def set_only(environ):
        for name in TORCHRUN:
            monkeypatch.delenv(name, raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)

    return set_only


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (TORCHRUN, True),
        ({**TORCHRUN, **SINGLE}, True),
        ({"RANK": "0", "WORLD_SIZE": "2"}, True),
        ({}, False),
        (SINGLE, False),  # as some containers set it
        ({"LOCAL_RANK": "0"}, False),
    ],
)
def test_a_launcher_is_seen_by_its_variables(environ, expected, set_environ):
    set_environ(environ)
    assert has_launcher() == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WORLD_SIZE", "two"),
        ("RANK", None),
        ("LOCAL_RANK", "1.5"),
        ("MASTER_ADDR", None),
        ("MASTER_PORT", "x"),
    ],
)
def test_a_wrong_variable_ends_in_a_line(name, value, set_environ):
    set_environ({k: v for k, v in {**TORCHRUN, name: value}.items() if v is not None})
    with pytest.raises(SystemExit, match=f"^error: .*{value or name}.*torchrun"):
        join_process_group("cpu", datetime.timedelta(seconds=1))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--num-gpus", "2"], "--num-gpus 2 under torchrun"),
        (["--num-machines", "2", "--machine-rank", "1"], "--num-machines 2 --machine-rank 1 under"),
    ],
)
@pytest.mark.parametrize("local_rank", ["0", "1"])
def test_options_that_contradict_torchrun_are_refused_once_a_machine(
    options, named, local_rank, set_environ, capsys
):
    set_environ({**TORCHRUN, "LOCAL_RANK": local_rank})
    with pytest.raises(SystemExit) as stop:
        main([*options, *CONFIG])
    assert stop.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {named}") if local_rank == "0" else error == ""


def test_cores_are_counted_where_python_has_no_affinity(monkeypatch):
    """As on macOS and Windows."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert usable_cores() == (os.cpu_count() or 1)


@pytest.fixture
def store():
    """As torchrun's: it stays while processes come and go."""
    made = dist.HashStore()
    made.set_timeout(datetime.timedelta(seconds=1))
    return made


def join(store, ranks, seconds=20.0):
    """The stores that the ranks of three get, each in a thread."""
    timeout = datetime.timedelta(seconds=seconds)
    with ThreadPoolExecutor() as threads:
        waiting = [threads.submit(prefixed_store, store, rank, 3, timeout) for rank in ranks]
        return [future.result() for future in waiting]


def test_all_share_a_store_that_is_empty_after_each_restart(store):
    for start in ("first", "second"):
        stores = join(store, (2, 0, 1))
        assert not any(prefixed.check(["address"]) for prefixed in stores)
        stores[0].set("address", start)
        assert [prefixed.get("address").decode() for prefixed in stores] == [start] * 3


def test_processes_that_died_before_they_joined_do_not_matter(store):
    with pytest.raises(RuntimeError, match="without 2"):
        join(store, (0, 1), seconds=0.3)
    stores = join(store, (1, 2, 0))
    stores[1].set("address", "new")
    assert [prefixed.get("address").decode() for prefixed in stores] == ["new"] * 3


def test_without_process_0_the_others_do_not_wait_for_ever(store):
    with pytest.raises(RuntimeError):
        join(store, (1, 2))
