"""Loading processes leave signals to the training, and end with it."""

import os
import signal
import time
from collections.abc import Iterator

import pytest
import torch
import torch.multiprocessing as mp
from torch.utils.data import DataLoader

from nonlocal_det.data import ignore_signals_in_workers


class Pids:
    def __len__(self) -> int:
        return 1000

    def __getitem__(self, index: int) -> int:
        time.sleep(0.005)
        return os.getpid()


def loaded() -> Iterator[int]:
    return iter(ignore_signals_in_workers(DataLoader(Pids(), batch_size=None, num_workers=1)))


@pytest.mark.skipif(not hasattr(signal, "sigwaitinfo"), reason="the system has no sigwaitinfo")
def test_a_worker_outlives_the_signals_of_others_and_not_its_parent():
    pids = loaded()
    worker = next(pids)

    def others() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(worker, number)

    other = mp.get_context("fork").Process(target=others)
    other.start()
    other.join()
    assert [next(pids) for _ in range(20)] == [worker] * 20
    started = time.monotonic()
    os.kill(worker, signal.SIGTERM)  # from its parent
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        list(pids)
    assert time.monotonic() - started < 10


@pytest.mark.skipif(not hasattr(signal, "sigwaitinfo"), reason="the system has no sigwaitinfo")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_outlives_them_as_it_starts(monkeypatch, number):
    """Torch's loop sets the threads before it calls a ``worker_init_fn``."""
    monkeypatch.setattr(torch, "set_num_threads", lambda _: os.kill(os.getpid(), number))
    pids = loaded()
    assert len({next(pids) for _ in range(20)}) == 1


@pytest.mark.skipif(not hasattr(signal, "sigwaitinfo"), reason="the system has no sigwaitinfo")
def test_the_training_itself_still_hears_them():
    next(loaded())
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, set()) & {signal.SIGTERM, signal.SIGINT}
