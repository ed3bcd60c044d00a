"""The process that has started others: waits, passes signals on, and lets none outlive the rest."""

import datetime
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from types import FrameType

_GRACE = 10.0  # s, for the others' last words, and again after SIGTERM
_TOGETHER = 2.0  # s, in which signals count as one: a terminal and a scheduler may both send it
_ASKED = (128 + signal.SIGINT, 128 + signal.SIGTERM)


def watch(
    processes: Sequence[BaseProcess], names: Sequence[str], timeout: datetime.timedelta
) -> int:
    """Wait until all processes have ended; once one has failed, see to it that the others do.

    SIGTERM and SIGINT of this process go to them; a second one, later, kills them.

    Args:
        processes: that have been started.
        names: of theirs, for messages.
        timeout: for those that finish their step because a signal asks for it.

    Returns:
        The exit status of the first that failed, 128 + n after signal n; 0 if none did.
    """
    with _passing_signals_on(processes):
        failed = _first_failure(processes)
        if failed is None:
            return 0
        status = _status(processes[failed])
        _end(processes, timeout.total_seconds() if status in _ASKED else _GRACE)
        killed_by = -(processes[failed].exitcode or 0)
        if killed_by > 0 and status not in _ASKED:
            why = " (was it out of memory?)" if killed_by == signal.SIGKILL else ""
            sys.stderr.write(
                f"error: {names[failed]} was killed by {signal.Signals(killed_by).name}{why}; the "
                "others were ended; continue with --resume\n"
            )
        return status


def _status(process: BaseProcess) -> int:
    code = process.exitcode or 0
    return 128 - code if code < 0 else code


def _first_failure(processes: Sequence[BaseProcess]) -> int | None:
    """The index of the process that failed first; None when all have ended well.

    Of several that are found together, one that a signal killed: the others died of its death.
    """
    running = dict(enumerate(processes))
    while running:
        connection.wait([process.sentinel for process in running.values()])
        ended = [n for n, process in running.items() if not process.is_alive()]
        for n in ended:
            running.pop(n).join()
        failed = [n for n in ended if processes[n].exitcode]
        if failed:
            return min(failed, key=lambda n: processes[n].exitcode or 0)
    return None


def _end(processes: Sequence[BaseProcess], patience: float) -> None:
    """Wait, then SIGTERM, then SIGKILL: a process inside a collective hears no other signal."""
    _join(processes, patience)
    for process in processes:
        if process.is_alive():
            process.terminate()
    _join(processes, _GRACE)
    for process in processes:
        if process.is_alive():
            process.kill()
        process.join()


def _join(processes: Sequence[BaseProcess], seconds: float) -> None:
    end = time.monotonic() + seconds
    for process in processes:
        process.join(max(0.0, end - time.monotonic()))


@contextmanager
def _passing_signals_on(processes: Sequence[BaseProcess]) -> Iterator[None]:
    received: list[float] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        received.append(time.monotonic())
        again = received[-1] - received[0] > _TOGETHER
        if len(received) > 1 and not again:
            return
        for process in processes:
            if process.is_alive() and process.pid:
                os.kill(process.pid, signal.SIGKILL if again else number)

    before = {n: signal.signal(n, pass_on) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
