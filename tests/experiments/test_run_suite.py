"""Every run once; what fails, stops or is killed loses nothing and is resumed."""

import json
import multiprocessing
import os
import signal
import threading
import time

import pytest

from nonlocal_det.experiments import estimate, run, runner
from nonlocal_det.experiments.resources import Resources
from nonlocal_det.experiments.runner import Runner

BASE, NL = "mask_keypoint_rcnn_R18", "nl_mask_keypoint_rcnn_R18"


def names(calls):
    return [(config.split("/")[1], seed) for config, seed, *_ in calls]


def test_a_finished_suite_is_reported_and_not_run_again(suite, capsys):
    assert suite.run() == 0
    assert names(suite.calls()) == [(BASE, 1), (NL, 1), (BASE, 2), (NL, 2)]
    assert not any("--resume" in call[-1] for call in suite.calls())
    said = capsys.readouterr().out
    assert "run 2 of 4: quick/nl_mask_keypoint_rcnn_R18 seed 1" in said
    # after the first: 400 x 0.2 s for three runs; after the second 400 x (0.2 + 0.25) s
    assert "1 of 4 runs finished; about 0:04:00 of training left" in said
    assert "2 of 4 runs finished; about 0:03:00 of training left" in said

    before = {path: path.read_bytes() for path in suite.output.rglob("seed*/*")}
    assert suite.run() == 0
    assert len(suite.calls()) == 4
    assert {path: path.read_bytes() for path in suite.output.rglob("seed*/*")} == before

    assert suite.run(seeds="3") == 0  # one more seed later
    assert names(suite.calls())[4:] == [(BASE, 3), (NL, 3)]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("fail", "exit status 3: training quick/"),
        ("fail early", "exit status 1: RuntimeError: out of memory"),
        ("silent", "ended without a result.json"),
    ],
)
def test_one_that_fails_stops_no_other_and_is_tried_again(suite, fault, error, capsys):
    suite.set_faults(**{f"quick/{BASE} 1": fault})
    assert suite.run() == 1
    assert len(suite.calls()) == 4
    assert f"FAILED quick/{BASE} seed 1: {error}" in capsys.readouterr().out
    statuses = [run["status"] for run in suite.results()["runs"]]
    assert statuses == ["failed", "finished", "finished", "finished"]
    assert error in suite.results()["runs"][0]["error"]
    assert error in suite.table()

    kept = (suite.folder(NL, 1) / "result.json").read_bytes()
    suite.set_faults()
    assert suite.run() == 0
    assert names(suite.calls())[4:] == [(BASE, 1)]
    assert "--resume" in suite.calls()[4][-1]
    assert (suite.folder(NL, 1) / "result.json").read_bytes() == kept
    starts = json.loads((suite.folder(BASE, 1) / "run.json").read_text())["starts"]
    assert len(starts) == (1 if fault == "fail early" else 2)  # nothing of it was left to mix


@pytest.mark.parametrize(
    ("number", "fault"),
    [(signal.SIGINT, "hang"), (signal.SIGTERM, "hang"), (signal.SIGTERM, "deaf")],
)
def test_a_signal_ends_the_children_and_the_next_call_resumes(
    suite, number, fault, monkeypatch, capsys
):
    monkeypatch.setattr(runner, "GRACE", 1.0)
    suite.set_faults(**{f"quick/{NL} 1": fault})
    timer = threading.Thread(target=kill_when, args=(suite, 2, os.getpid(), number))
    timer.start()
    before = signal.getsignal(number)
    assert suite.run() == 128 + number
    timer.join()
    assert ("does not end; killing it" in capsys.readouterr().out) == (fault == "deaf")
    assert signal.getsignal(number) is before
    assert [run["status"] for run in suite.results()["runs"]] == [
        *("finished", "interrupted", "new", "new")
    ]
    suite.set_faults()
    assert suite.run() == 0  # so the child is gone: it would hold its lock
    assert ["--resume" in call[-1] for call in suite.calls()] == [False, False, True, False, False]
    assert "resumed at iteration 200; not exactly: other processes" in suite.table()


def kill_when(suite, calls: int, process: int, number: int) -> None:
    """Signal a process once this number of trainings have started."""
    until = time.monotonic() + 20
    while len(suite.calls()) < calls and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.3)  # it has written its checkpoint, too
    os.kill(process, number)


def test_a_group_is_signalled_only_while_its_leader_is_not_reaped(suite, monkeypatch):
    killpg, signalled = os.killpg, []

    def checked(number, sent):
        # ChildProcessError once it is reaped: another process may have its number then
        os.waitid(os.P_PID, number, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        signalled.append(number)
        killpg(number, sent)

    monkeypatch.setattr(os, "killpg", checked)
    assert suite.run("1") == 0
    assert len(signalled) == 2


def test_a_killed_suite_leaves_its_training_alone_and_no_second_one_starts(suite):
    suite.set_faults(seconds=1.5)
    process = multiprocessing.get_context("fork").Process(target=suite.run)
    process.start()
    kill_when(suite, 1, process.pid, signal.SIGKILL)
    process.join()
    assert [run.status() for run in suite.plan().runs] == ["running", "new", "new", "new"]
    with pytest.raises(ValueError, match="seed1 is being trained by another process"):
        suite.run()
    until = time.monotonic() + 20
    while suite.plan().runs[0].status() == "running" and time.monotonic() < until:
        time.sleep(0.1)
    suite.set_faults()
    assert suite.run() == 0
    assert names(suite.calls()) == [(BASE, 1), (NL, 1), (BASE, 2), (NL, 2)]


def test_a_suite_runs_where_there_are_no_process_groups(suite, monkeypatch, capsys):
    """As on Windows."""
    for module, name in ((os, "killpg"), (os, "waitid"), (signal, "SIGKILL")):
        monkeypatch.delattr(module, name, raising=False)
    monkeypatch.setattr(runner, "GROUPS", False)
    monkeypatch.setattr(runner, "KILL", signal.SIGTERM)
    monkeypatch.setattr(run, "fcntl", None)
    suite.set_faults(**{f"quick/{BASE} 1": "fail"})
    assert suite.run() == 1
    suite.set_faults()
    assert suite.run() == 0
    assert len(suite.calls()) == 5


def test_runs_share_out_the_gpus(suite, monkeypatch, capsys):
    monkeypatch.setattr(runner, "PROGRESS", 0.3)
    suite.set_faults(seconds=0.4)  # three times that for the non-local model
    resources = Resources([("0", "1"), ("2", "3")], gpus_per_run=2, train=suite.train)
    assert Runner(suite.plan(), resources).run() == 0
    starts, ends = suite.calls(), suite.calls("end")
    assert {call[2] for call in starts} == {"0,1", "2,3"}
    assert starts[1][3] < ends[0][3]  # two at a time
    for gpus in ("0,1", "2,3"):  # and one after the other on the same GPUs
        times = [sorted(c[3] for c in calls if c[2] == gpus) for calls in (starts, ends)]
        assert all(start > end for start, end in zip(times[0][1:], times[1], strict=False))
    for call in starts:
        assert call[-1][:2] == ["--num-gpus", "2"]
    assert f"quick/{BASE} seed 1 at iteration 200 of 400" in capsys.readouterr().out


def test_on_what_is_visible_nothing_is_set(suite, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    assert Runner(suite.plan("1"), Resources(train=suite.train)).run() == 0
    assert {call[2] for call in suite.calls()} == {"7"}
    assert not any("--num-gpus" in call[-1] for call in suite.calls())


def test_a_dry_run_says_commands_hours_and_disk_and_writes_nothing(suite, capsys, monkeypatch):
    monkeypatch.setattr(estimate, "load_rows", list)  # as if the zoo had measured nothing
    assert suite.run("2", "dry-run") == 0
    assert list(suite.output.iterdir()) == []
    said = capsys.readouterr().out
    assert said.count("fake_train.py --config-file quick/") == 4
    assert "run 4 of 4: quick/nl_mask_keypoint_rcnn_R18 seed 2, new" in said
    assert "# hours: - (no s/iter has been measured for quick/mask_keypoint_rcnn_R18" in said

    suite.run("1")
    capsys.readouterr()
    assert suite.run("3", "dry-run") == 0
    said = capsys.readouterr().out
    # two runs of 400 iterations each remain: 2 x 400 x (0.2 + 0.25) s = 0.1 h
    assert "# hours: 0.1 GPU hours" in said
    assert "seed 1, finished" in said
