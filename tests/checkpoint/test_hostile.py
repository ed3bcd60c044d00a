"""Files are data: each file of the corpus ends in an error that says what was refused."""

import json
import os
import resource
import signal
import time
from collections.abc import Callable

import pytest
import torch
from hostile_files import CORPUS, MARK
from torch import nn

from nonlocal_det.checkpoint import CheckpointError, SafeCheckpointer

SECONDS, MIB = 2.0, 500


def in_a_child(work: Callable[[], str]) -> dict:
    """What the work returns, and its time and memory, in a process that may die of it."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            signal.setitimer(signal.ITIMER_REAL, 30 * SECONDS)  # then the process is killed
            before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
            said = work()
            seconds = time.process_time() - start  # of the processor: others use the machine
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            os.write(writer, json.dumps({"said": said, "s": seconds, "mib": grown}).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        text = file.read()
    _, status = os.waitpid(pid, 0)
    assert status == 0, f"ended by signal {status}"
    return json.loads(text)


def error_of_loading(name: str, trust: bool = False) -> str:
    try:
        SafeCheckpointer(nn.Linear(1, 1), trust=trust).load(name)
    except CheckpointError as error:
        return str(error)
    return "no error"


@pytest.mark.parametrize(("name", "content", "word"), CORPUS, ids=[name for name, *_ in CORPUS])
def test_a_hostile_file_is_refused_and_runs_nothing(name, content, word, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(content() if callable(content) else content)
    seen = in_a_child(lambda: error_of_loading(name))
    assert word in seen["said"]
    assert name in seen["said"]
    assert seen["s"] < SECONDS
    assert seen["mib"] < MIB
    assert os.listdir(tmp_path) == [name]  # no code has made a file


def test_the_corpus_is_large():
    assert len(CORPUS) >= 30


@pytest.mark.parametrize("name", ["in_state_dict.pkl", "os_system.pth"])
def test_trust_executes_the_file_and_says_so(name, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    content = next(content for one, content, _ in CORPUS if one == name)
    (tmp_path / name).write_bytes(content() if callable(content) else content)
    monkeypatch.setattr(torch.nn.Module, "load_state_dict", lambda *_, **__: None)
    error_of_loading(name, trust=True)
    assert (tmp_path / MARK).exists()  # so the files of the corpus do what they say
    assert "whatever you can" in caplog.text
    assert "--trust-checkpoint" in caplog.text


def test_the_error_says_how_to_load_what_is_trusted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = next(content for one, content, _ in CORPUS if one == "eval.pkl")
    (tmp_path / "eval.pkl").write_bytes(content)
    assert "--trust-checkpoint" in error_of_loading("eval.pkl")
