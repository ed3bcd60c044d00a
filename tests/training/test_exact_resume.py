"""A training that was killed again and again is the training that was not."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from programs import HELPERS, run_program
from tiny_training import TIMES, load, result, same

from nonlocal_det.synthetic import make_moving_clips
from nonlocal_det.visualization import read_metrics


def run(folder: Path, task: str, processes: int, workers: int, signals: Sequence[str] = ()) -> Path:
    folder.mkdir()
    script = HELPERS / "killed_training.py"
    words = [folder, task, processes, workers, *signals]
    status, said = run_program(script, *words, timeout=3600)
    console = folder / "console.txt"
    assert status == 0, said + (console.read_text()[-3000:] if console.is_file() else "")
    return folder


def losses(folder: Path) -> list[tuple[int, str]]:
    lines = (folder / "losses.txt").read_text().splitlines()
    return [(int(line.split()[0]), line.split()[1]) for line in lines]


def rows(folder: Path) -> list[dict[str, float]]:
    return [
        {key: value for key, value in row.items() if key not in TIMES}
        for row in read_metrics(folder / "out" / "metrics.json")
    ]


@pytest.fixture(scope="module")
def uninterrupted(datasets, tmp_path_factory):
    """The folder of a training in so many processes that nothing has happened to."""
    make_moving_clips(datasets, num_train=16, num_val=8, size=32)
    found: dict[tuple[str, int], Path] = {}

    def of(task: str, processes: int) -> Path:
        if (task, processes) not in found:
            folder = tmp_path_factory.mktemp("whole") / f"{task}{processes}"
            found[task, processes] = run(folder, task, processes, workers=0)
        return found[task, processes]

    return of


def deaths(folder: Path) -> list[list[str]]:
    return [line.split() for line in (folder / "deaths.txt").read_text().splitlines()]


def assert_same(ended: Path, whole: Path) -> None:
    """Every loss, every row, every metric, the last weights and their momentum."""
    expected = dict(losses(whole))
    assert sorted(expected) == list(range(60))
    found = losses(ended)
    assert dict(found).keys() == expected.keys()
    for iteration, loss in found:  # also of steps that were done again
        assert loss == expected[iteration], iteration
    assert rows(ended) == rows(whole)
    ours, theirs = ended / "out", whole / "out"
    assert result(ours)["metrics"] == result(theirs)["metrics"]
    assert same(load(ours)["model"], load(theirs)["model"])
    assert same(load(ours)["trainer"]["_trainer"], load(theirs)["trainer"]["_trainer"])
    if (theirs / "model_ema_final.pth").is_file():
        averages = [load(folder, "model_ema_final")["model"] for folder in (ours, theirs)]
        assert same(*averages)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks the trainings")
@pytest.mark.parametrize(
    ("task", "processes", "workers"),
    [("detection", p, w) for p in (1, 2) for w in (0, 2)] + [("video", 1, 2), ("video", 2, 0)],
)
def test_ten_kills_change_nothing(mini_coco, uninterrupted, tmp_path, task, processes, workers):
    killed = run(tmp_path / "killed", task, processes, workers, ["SIGKILL"] * 10)
    assert len(deaths(killed)) == 10
    assert {"step", "save", "evaluation"} <= {doing for doing, *_ in deaths(killed)}
    assert len(losses(killed)) > 60  # steps that were done again
    assert_same(killed, uninterrupted(task, processes))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks the trainings")
@pytest.mark.parametrize(("processes", "workers"), [(1, 2), (2, 0)])
def test_a_training_that_is_asked_to_end_loses_no_step(
    mini_coco, uninterrupted, tmp_path, processes, workers
):
    asked = ["SIGTERM", "SIGINT"] * 3
    ended = run(tmp_path / "ended", "detection", processes, workers, asked)
    statuses = [status for _, status, _ in deaths(ended)]
    assert statuses == ["143", "130"] * 3
    assert max(float(seconds) for *_, seconds in deaths(ended)) < 15
    assert len(losses(ended)) == 60  # and no step was done again
    assert_same(ended, uninterrupted("detection", processes))
