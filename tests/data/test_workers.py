"""Loading processes leave signals to the training, and end with it."""

import os
import signal
import time

import pytest
import torch.multiprocessing as mp
from torch.utils.data import DataLoader

from nonlocal_det.data import shield_worker


class Pids:
    def __len__(self) -> int:
        return 1000

    def __getitem__(self, index: int) -> int:
        time.sleep(0.005)
        return os.getpid()


@pytest.mark.skipif(not hasattr(signal, "sigwaitinfo"), reason="the system has no sigwaitinfo")
def test_a_worker_outlives_the_signals_of_others_and_not_its_parent():
    pids = iter(DataLoader(Pids(), batch_size=None, num_workers=1, worker_init_fn=shield_worker))
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
