"""What was logged before a kill, and after it."""

import json

import pytest
from detectron2.utils.events import EventStorage, JSONWriter

from nonlocal_det.training.metrics_history import collect_scalars, restore_scalars, trim_metrics


def line(iteration: int, **values: float) -> str:
    return json.dumps({"iteration": iteration, **values}) + "\n"


@pytest.mark.parametrize(
    ("tail", "kept"),
    [
        ([], [19, 39]),
        ([line(45)], [19, 39]),  # logged again, and so taken off
        ([line(41)[:9]], [19, 39]),  # halved by a kill
        ([line(59), line(79), line(81)[:-1]], [19, 39]),
        ([line(40)], [19, 39]),  # the first that is logged again
        ([line(59), line(24)], [19, 39, 24]),  # an evaluation, written with the losses after it
    ],
)
def test_rows_that_come_again_are_taken_off(tmp_path, tail, kept):
    path = tmp_path / "metrics.json"
    path.write_text("".join([line(19), line(39), *tail]))
    with open(path, "a") as writer:  # Detectron2's has it open already
        assert trim_metrics(path, 40) == 39
        writer.write(line(59))
    assert [json.loads(row)["iteration"] for row in path.read_text().splitlines()] == [*kept, 59]


def test_without_rows_there_is_no_last_one(tmp_path):
    assert trim_metrics(tmp_path / "metrics.json", 40) == -1
    path = tmp_path / "metrics.json"
    path.write_text(line(19) + line(39)[:-1])  # only its end is missing
    assert trim_metrics(path, 40) == 19
    assert path.read_text() == line(19)
    path.write_text(line(50)[:5])
    assert trim_metrics(path, 40) == -1
    assert path.read_text() == ""


def log(storage: EventStorage, iterations: range) -> None:
    for iteration in iterations:
        storage.iter = iteration
        storage.put_scalar("total_loss", float(iteration**2))
        storage.put_scalar("time", 0.1)
        storage.put_scalar("lr", 0.5 / (1 + iteration), smoothing_hint=False)
        if iteration % 10 == 9:
            storage.put_scalar("bbox/AP", float(iteration), smoothing_hint=False)


def test_the_next_row_is_smoothed_as_if_nothing_had_happened(tmp_path):
    with EventStorage(0) as storage:
        log(storage, range(40))
        JSONWriter(str(tmp_path / "whole.json")).write()
    with EventStorage(0) as storage:
        log(storage, range(33))
        saved = json.loads(json.dumps(collect_scalars(storage)))  # plain data
    with EventStorage(33) as storage:
        restore_scalars(storage, saved, written=19)
        assert storage.iter == 33
        assert storage.latest()["bbox/AP"] == (29.0, 29)  # no row has it
        log(storage, range(33, 40))
        JSONWriter(str(tmp_path / "resumed.json")).write()
    assert (tmp_path / "resumed.json").read_text() == (tmp_path / "whole.json").read_text()


def test_what_a_row_has_is_not_logged_twice():
    with EventStorage(0) as storage:
        log(storage, range(31))
        saved = collect_scalars(storage)
    assert "time" not in saved  # another machine's, perhaps
    with EventStorage(31) as storage:
        restore_scalars(storage, saved, written=29)
        assert storage.latest().keys() == {"total_loss", "lr"}
    assert collect_scalars(None) == {}
