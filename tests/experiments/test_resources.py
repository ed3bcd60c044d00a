import re

import pytest

from nonlocal_det.experiments.resources import parse_gpus, threads_per_job


@pytest.mark.parametrize(
    ("text", "each", "slots"),
    [
        ("0-3", 2, [("0", "1"), ("2", "3")]),
        ("0-3", 4, [("0", "1", "2", "3")]),
        ("5,0,2", 1, [("5",), ("0",), ("2",)]),
        ("0-1, 4-5", 2, [("0", "1"), ("4", "5")]),
        ("", 8, [()]),
    ],
)
def test_gpus_are_shared_out(text, each, slots):
    assert parse_gpus(text, each, available=8) == slots


def test_numbers_count_what_a_scheduler_lets_us_see(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6,GPU-abc,2")
    assert parse_gpus("0-1", 1, available=3) == [("6",), ("GPU-abc",)]


@pytest.mark.parametrize(
    ("text", "each", "available", "words"),
    [
        ("0-3", 3, 8, "--gpus-per-run 3 does not divide"),
        ("0-3", 1, 2, "there is no GPU 3, torch sees 2"),
        ("0,0", 1, 2, "twice"),
        ("3-1", 1, 8, "expected numbers and ascending ranges"),
        ("all", 1, 8, "expected numbers and"),
        ("0", 0, 8, "--gpus-per-run 0"),
        ("", 2, 1, "but there are 1 GPUs"),
    ],
)
def test_bad_gpus_are_refused(text, each, available, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        parse_gpus(text, each, available)


def test_jobs_share_the_cores():
    assert [threads_per_job(jobs, "", 8) for jobs in (None, 1, 3, 8)] == [0, 8, 2, 1]
    for jobs, gpus, words in ((9, "", "8 cores"), (0, "", "8 cores"), (2, "0-1", "--gpus '0-1'")):
        with pytest.raises(ValueError, match=f"--jobs {jobs}.* {words}"):
            threads_per_job(jobs, gpus, 8)
