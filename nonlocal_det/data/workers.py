"""What loading processes do with the signals that are meant for the training."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.utils.data import DataLoader

_CAN = hasattr(signal, "sigwaitinfo")  # macOS: no way to know who sends
_STOPPING = {signal.SIGTERM, signal.SIGINT}


def shielded(loader: Any) -> Any:
    """A loader whose processes outlive a Ctrl-C or SIGTERM for the whole process group.

    The training ends them. A process that died of a signal would take the step that is to be
    finished with it.

    Args:
        loader: changed in place if it is torch's and has no ``worker_init_fn``.

    Returns:
        The same ``loader``.
    """
    if isinstance(loader, DataLoader) and loader.worker_init_fn is None:
        loader.worker_init_fn = _shield
        if _CAN:
            loader.__class__ = type("ShieldedLoader", (_BornShielded, type(loader)), {})
    return loader


class _BornShielded(DataLoader[Any]):
    """Starts processes deaf, so that none is lost before its `_shield` is up."""

    def __iter__(self) -> Any:
        with _held_back():
            return super().__iter__()


@contextmanager
def _held_back() -> Iterator[None]:
    """This thread gets no such signal; what it starts inherits that, and keeps it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _shield(worker: int) -> None:
    """In a new process, with SIGTERM held back."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if _CAN:
        threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
