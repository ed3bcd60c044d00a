"""Train what is not finished, several runs at a time: one that fails stops no other."""

import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import partial

from .estimate import progress_line
from .mixing import current_origin
from .plan import Plan
from .resources import Resources, Slot
from .run import Run, last_lines

POLL = 0.1  # seconds between two looks for a signal
GRACE = 60.0  # seconds from SIGTERM to SIGKILL: a step, and the checkpoint after it
PROGRESS = 60.0  # seconds between lines of progress
GROUPS = hasattr(os, "killpg")  # not on Windows: a signal ends the run alone, and at once
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)

say = partial(print, flush=True)


class Runner:
    """Starts the runs of a plan, as many at a time as there are slots, and waits for them.

    Args:
        plan: what to train.
        resources: how and on what.
        after_each: called when a run has ended, finished or not.
    """

    def __init__(
        self, plan: Plan, resources: Resources, after_each: Callable[[], object] = lambda: None
    ) -> None:
        self.plan = plan
        self.resources = resources
        self.after_each = after_each
        self._slots: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        # While a process is in this list its number is its own; the lock keeps that true.
        self._processes: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()
        self._stopping = False
        self._ended: dict[Run, threading.Event] = {}

    def run(self) -> int:
        """Train every run that is not finished, in the plan's order.

        Returns:
            0: all finished; 1: one failed; 128 + n: signal n has stopped it, and the children.

        Raises:
            ValueError: another process is training one of them.
        """
        runs, slots = self.plan.runs, self.resources.slots
        waiting = [run for run in runs if run.status() != "finished"]
        for run in waiting:
            if run.is_locked():
                raise ValueError(run.in_use)
        say(f"{len(runs) - len(waiting)} of {len(runs)} runs are finished")
        for slot in slots:
            self._slots.put(slot)
        self._ended = {run: threading.Event() for run in waiting}
        with _received_signals() as received, ThreadPoolExecutor(len(slots)) as pool:
            try:
                pending = {pool.submit(self._train, run) for run in waiting}
                next_line = time.monotonic() + PROGRESS
                while pending and not received:
                    done, pending = wait(pending, timeout=POLL, return_when=FIRST_COMPLETED)
                    for future in done:
                        say(future.result())
                        self.after_each()
                    if time.monotonic() > next_line:
                        say(self._progress())
                        next_line = time.monotonic() + PROGRESS
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
                self._stop(received)
        if received:
            self.after_each()
            return 128 + received[0]
        return 0 if all(run.status() == "finished" for run in runs) else 1

    def _train(self, run: Run) -> str:
        """Train one run when it can start; return a line that says how it ended."""
        try:
            if run.start in self._ended:  # it is before this one in the plan, so under way
                self._ended[run.start].wait()
            if run.start is not None and run.start.status() != "finished":
                return f"FAILED {run.name}: {run.start.name} has not finished, and it starts there"
            return self._train_in_slot(run)
        finally:
            self._ended[run].set()

    def _train_in_slot(self, run: Run) -> str:
        slot = self._slots.get()
        try:
            process = self._start(run, slot)
            code = self._wait(process) if process else -signal.SIGTERM
        except ValueError as error:  # another process was faster
            return f"FAILED {run.name}: {error}"
        finally:
            self._slots.put(slot)
        if code == 0 and run.result() is not None:
            return f"finished {run.name}; {self._progress()}"
        if self._stopping:
            return f"stopped {run.name}"
        console = run.folder / "console.txt"
        printed = [line.strip() for line in last_lines(console) if line.strip()]
        error_line = f"{_reason(code)}: {printed[-1] if printed else '(nothing printed)'}"
        run.note_error(error_line)
        return f"FAILED {run.name}: {error_line} (all of it: {console})"

    def _start(self, run: Run, slot: Slot) -> subprocess.Popen[bytes] | None:
        number = f"run {self.plan.runs.index(run) + 1} of {len(self.plan.runs)}"
        resumed = "" if run.status() == "new" else ", resumed"
        command = self.resources.command(run)
        run_lock = run.lock()
        try:
            with self._lock, open(run.folder / "console.txt", "ab") as console:
                if self._stopping:
                    return None
                run.note_start(
                    current_origin(self.plan, run), self.resources.shell_line(command, slot)
                )
                say(f"{number}: {run.name}{resumed}: {run.folder}")
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **self.resources.variables(slot)},
                    pass_fds=(run_lock,) if GROUPS else (),
                    start_new_session=True,  # a Ctrl-C at the terminal reaches only this process
                )
                self._processes.append(process)
                return process
        finally:
            os.close(run_lock)  # the child has its own copy

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for a process; end what it leaves behind, which may hold its GPUs."""
        if hasattr(os, "waitid"):  # not on macOS before Python 3.13
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        else:
            process.wait()
        with self._lock:
            if process.returncode is None:  # not reaped yet: no other process has its number
                _signal_group(process, KILL)
            self._processes.remove(process)
            return process.wait()

    def _stop(self, received: list[int]) -> None:
        """End the children and what they have started; they save, and resume exactly there."""
        with self._lock:
            self._stopping = True
            if received:
                name = signal.Signals(received[0]).name
                say(f"{name}: ending {len(self._processes)} runs")
            for process in self._processes:
                _signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        while self._processes and time.monotonic() < deadline:
            time.sleep(POLL)
        with self._lock:
            for process in self._processes:
                say(f"process {process.pid} does not end; killing it")
                _signal_group(process, KILL)

    def _progress(self) -> str:
        return progress_line(self.plan, len(self.resources.slots))


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to a process that leads a group, and to all that it has started."""
    with suppress(ProcessLookupError):  # all of it has ended
        if GROUPS:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)


@contextmanager
def _received_signals() -> Iterator[list[int]]:
    """Collect the numbers of SIGINT and SIGTERM instead of their usual effect."""
    received: list[int] = []
    before = {
        number: signal.signal(number, lambda number, frame: received.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _reason(code: int) -> str:
    """Say how a process ended that has not finished its work."""
    if code == 0:
        return "ended without a result.json"
    if code in (128 + signal.SIGTERM, 128 + signal.SIGINT):
        return f"stopped by {signal.Signals(code - 128).name} and saved"
    return f"exit status {code}" if code > 0 else f"killed by {signal.Signals(-code).name}"
