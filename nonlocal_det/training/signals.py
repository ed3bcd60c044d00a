"""SIGTERM and SIGINT: noted, so that a step can be finished; the second one ends at once."""

import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGTERM, signal.SIGINT)
TOGETHER = 2.0
"""Seconds in which signals count as one: a terminal, a scheduler and a launcher may all send it."""
DEAF = 120.0
"""Seconds after which a process that takes no note of a signal, as it waits for others, ends."""


class Stopped(SystemExit):
    """Leaves a training; the exit status is 128 and the signal's number.

    Args:
        number: of the signal.
        together: whether all processes leave at the same step.
    """

    def __init__(self, number: int, *, together: bool = False) -> None:
        super().__init__(128 + number)
        self.number = number
        self.together = together


class StopSignals:
    """A context in which SIGTERM and SIGINT are noted.

    In another thread than the main one it does nothing, as only that receives signals.

    Attributes:
        number: of the first signal that has come; 0: none.
    """

    def __init__(self) -> None:
        self.number = 0
        self._raise = False

    def __enter__(self) -> "StopSignals":
        """Begin to take note."""
        self.number, self._raise = 0, False
        self._active = threading.current_thread() is threading.main_thread()
        if self._active:
            self._process = os.getpid()
            self._ear, self._mouth = os.pipe()
            os.set_blocking(self._mouth, False)
            self._wakeup_before = signal.set_wakeup_fd(self._mouth, warn_on_full_buffer=False)
            self._before = {number: signal.signal(number, self._note) for number in STOPPING}
            threading.Thread(target=self._watch, args=(self._ear,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        """Give the signals their effect back."""
        if self._active:
            for number, handler in self._before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(self._wakeup_before)
            os.write(self._mouth, b"\0")  # loading processes hold the pipe open: there is no end
            os.close(self._mouth)
        self._active, self.number = False, 0

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """What is done inside can be left anywhere: it is done again.

        Raises:
            Stopped: on a signal, also one noted before.
        """
        outer, self._raise = self._raise, True
        try:
            if self.number:
                raise Stopped(self.number)
            yield
        finally:
            self._raise = outer

    def _note(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            return  # a loading process that was just forked
        self.number = self.number or number
        if self._raise:
            self._raise = False
            raise Stopped(self.number)

    def _watch(self, ear: int) -> None:
        """Hears signals even while the main thread waits in another language."""
        first, heard = 0.0, 0
        while True:
            deaf = heard and not self.number
            if not select.select([ear], [], [], DEAF if deaf else None)[0]:
                os._exit(128 + heard)
            for number in os.read(ear, 64):
                if number == 0:
                    os.close(ear)
                    return
                if number in STOPPING:
                    if heard and time.monotonic() - first > TOGETHER:
                        os._exit(128 + number)
                    first, heard = (first, heard) if heard else (time.monotonic(), number)
            time.sleep(0.05)  # for the main thread to take note
