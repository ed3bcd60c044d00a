"""What loading processes do with the signals that are meant for the training."""

import os
import signal
import threading


def shield_worker(worker: int) -> None:
    """Outlive a Ctrl-C or SIGTERM for the whole process group: the training ends its workers.

    For the ``worker_init_fn`` of a DataLoader. A worker that died of them would take the step that
    is to be finished with it.

    Args:
        worker: its number; any.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not hasattr(signal, "sigwaitinfo"):
        return  # macOS: no way to know who sends
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
