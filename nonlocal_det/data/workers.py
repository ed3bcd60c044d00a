"""Keep the signals that are meant for the training from its loading processes."""

import os
import signal
import threading
from typing import Any

from torch.utils.data import DataLoader

_HAS_SIGWAITINFO = hasattr(signal, "sigwaitinfo")  # macOS: the sender is not known
_STOPPING = {signal.SIGTERM, signal.SIGINT}


def ignore_signals_in_workers(loader: Any) -> Any:
    """Let the loading processes outlive a Ctrl-C or SIGTERM for the whole process group.

    The training ends them. A process that died of a signal would take the step with it that is to
    be finished.

    Args:
        loader: changed in place if it is torch's and has no ``worker_init_fn``.

    Returns:
        The same ``loader``.
    """
    if isinstance(loader, DataLoader) and loader.worker_init_fn is None:
        loader.worker_init_fn = _ignore_signals
        if _HAS_SIGWAITINFO:
            loader.__class__ = type("BlockingLoader", (_BlockingLoader, type(loader)), {})
    return loader


class _BlockingLoader(DataLoader[Any]):
    """Starts processes with blocked signals, so that none ends before its `worker_init_fn`."""

    def __iter__(self) -> Any:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        try:
            return super().__iter__()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ignore_signals(worker: int) -> None:
    """Run in a new process; where the sender is known, SIGTERM is blocked and read instead."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if _HAS_SIGWAITINFO:
        threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
