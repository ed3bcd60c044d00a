"""SIGTERM and SIGINT: a flag that the training reads after each step; a second one ends at once."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

STOPPING = (signal.SIGTERM, signal.SIGINT)
TOGETHER = 2.0
"""Seconds in which signals count as one: a terminal, a scheduler and a launcher may all send it."""


class Stopped(SystemExit):
    """Leaves a training; the exit status is 128 and the signal's number.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number


class StopFlag:
    """A context in which SIGTERM and SIGINT set a flag.

    In another thread than the main one it does nothing, as only that one receives signals.

    Attributes:
        number: of the first signal that has come; 0: none.
    """

    def __init__(self) -> None:
        self.number = 0
        self._first = 0.0
        self._raise = self._held = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopFlag":
        """Install the handlers."""
        self.number, self._raise, self._held = 0, False, False
        self._process = os.getpid()
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in STOPPING}
        return self

    def __exit__(self, *error: object) -> None:
        """Restore the handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self.number, self._before = 0, {}

    def note(self, number: int) -> None:
        """Set the flag, unless it is set."""
        if not self.number:
            self.number, self._first = number, time.monotonic()

    def hold(self) -> None:
        """Only note signals from now on: the process saves, and ends after that."""
        self._held = True

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Run what may be left anywhere, since it is done again on a resume.

        Raises:
            Stopped: a signal comes, or has come before.
        """
        outer, self._raise = self._raise, True
        try:
            if self.number:
                raise Stopped(self.number)
            yield
        finally:
            self._raise = outer

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            return  # a loading process that was just forked
        if self.number and not self._held and time.monotonic() - self._first > TOGETHER:
            os._exit(128 + number)
        self.note(number)
        if self._raise:
            self._raise = False
            raise Stopped(self.number)


STOP = StopFlag()  # a process has one
