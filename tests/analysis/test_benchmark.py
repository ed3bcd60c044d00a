import pytest
import torch

from nonlocal_det.analysis import Case, build, check_equal, measure_apart
from nonlocal_det.analysis.benchmark import measure
from nonlocal_det.analysis.suite import run_suite, table

SMALL = {"channels": 32, "height": 9, "width": 7}


def test_the_common_form_is_the_same_function():
    ours, peer = (Case(name, "concatenation", **SMALL) for name in ("ours", "repeat_concatenate"))
    assert check_equal(ours, peer) < 1e-5


def test_another_function_is_refused():
    ours = Case(pairwise="concatenation", subsample="after", **SMALL)
    peer = Case("repeat_concatenate", "concatenation", **SMALL)
    with pytest.raises(ValueError, match="another function"):
        check_equal(ours, peer)
    with pytest.raises(ValueError, match="is a concatenation"):
        build(Case("repeat_concatenate", "dot_product", **SMALL))
    with pytest.raises(ValueError, match="expected ours, repeat_concatenate"):
        build(Case("theirs", **SMALL))


def test_measuring_gives_time_and_memory():
    threads = torch.get_num_threads()
    big = measure(Case(pairwise="dot_product", kernel="dense", channels=16, height=80, width=80), 1)
    torch.set_num_threads(threads)
    assert big.seconds > 0
    assert big.mebibytes > 6400 * 6400 * 4 / 2**20  # the matrix alone


def test_a_failed_measurement_says_why():
    with pytest.raises(RuntimeError, match="expected one of 'gaussian'"):
        measure_apart(Case(pairwise="nonsense", **SMALL), 1)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="--only 'zzz'"):
        run_suite(only="zzz")
    with pytest.raises(ValueError, match="rounds=0"):
        run_suite(rounds=0)


def test_the_table_shows_what_was_measured():
    row = {"name": "a", "against": "b", "seconds": 0.123, "mebibytes": 45.6, "peer_seconds": 1.0}
    row |= {"peer_mebibytes": 100.0, "time": 0.123, "memory": 0.456}
    assert table([row]).splitlines()[-1] == "| a | b | 0.12 | 46 | 1.00 | 100 | 0.123 | 0.456 |"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ours", "peer", "least"),
    [
        # generous ratios: they turn red when a kernel silently falls back to the dense form
        (Case(pairwise="concatenation"), Case("repeat_concatenate", "concatenation"), 20),
        (
            Case(pairwise="dot_product", height=50, width=84),
            Case(pairwise="dot_product", kernel="dense", height=50, width=84),
            1.3,
        ),
    ],
)
def test_exact_kernels_are_faster_than_the_matrix(ours, peer, least):
    ratios = [measure_apart(peer, 2).seconds / measure_apart(ours, 2).seconds for _ in range(2)]
    assert max(ratios) >= least
