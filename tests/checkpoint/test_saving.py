"""However a save ends, a whole checkpoint is there and is named."""

import errno
import os
import subprocess
import sys
from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from nonlocal_det import files
from nonlocal_det.checkpoint import CheckpointError, SafeCheckpointer, read_checkpoint, writing

STEPS = ("open", "write", "fsync", "close", "replace")


def failing(at: int, number: int) -> SimpleNamespace:
    """The module os, whose call number ``at`` of those that reach the disk fails."""
    count = 0

    def wrap(function):
        def call(*arguments, **options):
            nonlocal count
            count += 1
            if count == at:
                raise OSError(number, os.strerror(number))
            return function(*arguments, **options)

        return call

    names = {name: getattr(os, name) for name in dir(os) if not name.startswith("_")}
    return SimpleNamespace(**{**names, **{name: wrap(names[name]) for name in STEPS}})


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_is_full_at_any_write_leaves_the_one_before(run, monkeypatch, number):
    ended = set()
    for at in range(1, 1000):
        disk = failing(at, number)
        with monkeypatch.context() as patch:
            patch.setattr(files, "os", disk)
            try:
                run.save(3)
                break
            except CheckpointError as error:
                message = str(error)
        assert os.strerror(number) in message
        assert "model_0000003.pth" in message
        assert f"{run.last()}; continue from it with --resume" in message
        assert ("--keep-checkpoints" in message) == (number != errno.EIO)
        assert run.last() in ("model_0000002.pth", "model_0000003.pth")
        assert read_checkpoint(run.folder / run.last())  # named once it was there
        ended.add(run.resume())
        assert not [name for name in run.files() if name.endswith(".partial")]
        (run.folder / "model_0000003.pth").unlink(missing_ok=True)
        (run.folder / "last_checkpoint").write_text("model_0000002.pth")
    assert at > 20  # each of torch's writes has failed once
    assert 2 in ended
    assert run.resume() == 3


def test_room_is_checked_before_anything_is_written(run, monkeypatch):
    before = run.files()
    monkeypatch.setattr(writing, "free_bytes", lambda folder: 1 << 10)
    with pytest.raises(CheckpointError, match="takes 0.1 MiB, 0.0 MiB are free; make room"):
        run.save(3)
    assert run.files() == before
    assert run.resume() == 2


def test_the_room_that_is_asked_for_is_enough(make_run):
    run = make_run(made_by={"config": "x" * 100_000})
    run.save(1)
    data = {"model": run.model.state_dict(), "made_by": run.checkpointer.made_by}
    written = (run.folder / "model_0000001.pth").stat().st_size
    assert written <= writing.size_of(data) < written + 500_000


def test_room_counts_the_tensors_once():
    tensor = torch.zeros(1 << 20)
    alone = writing.size_of({"a": tensor})
    assert 4 << 20 <= alone < 5 << 20
    assert writing.size_of({"a": tensor, "b": tensor[1:]}) < alone + 10_000


KILLED = """
import sys, torch
from nonlocal_det import files
from nonlocal_det.checkpoint.writing import write_checkpoint
from pathlib import Path
for number in range(1_000_000):
    write_checkpoint(Path(sys.argv[1]) / "model_0000002.pth", {"model": {"a": torch.rand(1 << 18)}})
    print("ready", flush=True)
"""


def test_a_kill_leaves_the_file_whole_and_its_rest_is_removed(run, monkeypatch):
    path = run.folder / "model_0000002.pth"
    command = [sys.executable, "-c", KILLED, str(run.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout.readline() == "ready\n"
            for _ in range(50):  # whole at any moment while another process replaces it
                read_checkpoint(path)
        finally:
            child.kill()
    read_checkpoint(path)
    (run.folder / ".model_0000009.pth.partial").write_bytes(b"half")
    run.save(3)
    assert run.files() == ["last_checkpoint", *(f"model_000000{n}.pth" for n in (1, 2, 3))]


def test_an_error_that_is_not_the_disks_leaves_nothing_behind(run, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    before = run.files()
    monkeypatch.setattr(torch, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        run.save(3)
    assert run.files() == before


def test_a_checkpoint_says_what_made_it(run):
    loaded = torch.load(run.folder / "model_0000002.pth", weights_only=True)
    assert loaded["made_by"] == {"commit": "abc", "versions": {"torch": "2"}}
    assert loaded["iteration"] == 2


def test_only_what_can_be_read_back_is_saved(run):
    odd = namedtuple("odd", "a")
    for value, name in ((np.float64(1), "numpy.float64"), (odd(1), "odd"), (print, "builtin")):
        with pytest.raises(CheckpointError, match=rf"checkpoint\.best\.x.* {name}|{name}"):
            run.checkpointer.save("model_0000003", best={"x": [value]})
    assert run.resume() == 2


def test_the_last_ones_are_kept_and_the_final_and_the_best(make_run):
    run = make_run(keep_last=2)
    for number in range(1, 6):
        run.save(number)
        if number == 3:
            run.save(3, "model_best")
            assert run.last() == "model_0000003.pth"  # the best is not the last
    run.save(6, "model_final")
    kept = ["model_0000004.pth", "model_0000005.pth", "model_best.pth", "model_final.pth"]
    assert run.files() == ["last_checkpoint", *kept]
    assert run.resume() == 6


def test_the_one_just_written_stays_whatever_the_clock_says(make_run):
    run = make_run(keep_last=1)
    run.save(1)
    os.utime(run.folder / "model_0000001.pth", (2e9, 2e9))
    run.save(2)
    assert run.files() == ["last_checkpoint", "model_0000002.pth"]


def test_nothing_is_saved_by_other_processes_or_without_a_folder(tmp_path):
    model = torch.nn.Linear(1, 1)
    SafeCheckpointer(model, str(tmp_path), save_to_disk=False).save("model_0000001")
    SafeCheckpointer(model).save("model_0000001")
    assert list(tmp_path.iterdir()) == []


def test_folders_that_cannot_be_are_refused():
    model = torch.nn.Linear(1, 1)
    with pytest.raises(ValueError, match="OUTPUT_DIR='s3://a' is a URL"):
        SafeCheckpointer(model, "s3://a")
    with pytest.raises(ValueError, match="--keep-checkpoints 0: expected 1 or more"):
        SafeCheckpointer(model, keep_last=0)
