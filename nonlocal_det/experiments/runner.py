"""Trains what is not finished, each run in a process of its own: one that fails stops no other."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .gpus import Slot
from .origin import current_origin
from .plan import Plan
from .processes import kill_group, last_line, noted_signals, reason, shell_line
from .progress import progress_line
from .record import Run

TRAIN = (sys.executable, "-m", "nonlocal_det.cli.train")
POLL = 0.1  # seconds between looks at the processes
GRACE = 60.0  # seconds from SIGTERM to SIGKILL: a step, and the checkpoint after it

Say = Callable[[str], None]


@dataclass(frozen=True)
class _Child:
    run: Run
    slot: Slot
    process: subprocess.Popen[bytes]


class Runner:
    """Starts the runs of a plan, as many at a time as there are slots, and waits for them.

    Args:
        plan: what to train.
        slots: of `parse_gpus`.
        gpus_per_run: the ``--num-gpus`` of each run.
        threads: of each run, see `parse_jobs`; 0: as many as it takes by itself.
        train: the training command, without arguments.
        say: prints a line.
        after_each: called when a run has ended, however it ended.
        every: seconds between lines of progress.
    """

    def __init__(
        self,
        plan: Plan,
        slots: Sequence[Slot],
        *,
        gpus_per_run: int = 1,
        threads: int = 0,
        train: Sequence[str] = TRAIN,
        say: Say = print,
        after_each: Callable[[], object] = lambda: None,
        every: float = 60.0,
    ) -> None:
        self.plan = plan
        self.slots = list(slots)
        self.gpus_per_run = gpus_per_run
        self.threads = threads
        self.train = list(train)
        self.say = say
        self.after_each = after_each
        self.every = every
        self._children: list[_Child] = []

    def run(self) -> int:
        """Train every run that is not finished, in the plan's order.

        Returns:
            0: all finished; 1: one failed; 128 + n: signal n has stopped it, and the children.

        Raises:
            ValueError: another process is training one of them.
        """
        waiting = [run for run in self.plan.runs if run.status() != "finished"]
        for run in waiting:
            if run.status() == "running":
                raise ValueError(run.in_use())
        self.say(f"{len(self.plan.runs) - len(waiting)} of {len(self.plan.runs)} runs are finished")
        free = list(self.slots)
        last_said = time.monotonic()
        with noted_signals() as received:
            while (waiting or self._children) and not received:
                while waiting and free:
                    self._start(waiting.pop(0), free.pop(0))
                time.sleep(POLL)
                free += [child.slot for child in self._collect()]
                if time.monotonic() - last_said > self.every:
                    self.say(progress_line(self.plan, len(self.slots)))
                    last_said = time.monotonic()
            if received:
                self._stop(received[0])
                return 128 + received[0]
        return 0 if all(run.status() == "finished" for run in self.plan.runs) else 1

    def command(self, run: Run) -> list[str]:
        """What trains a run, for a shell too."""
        words = [*self.train, *run.arguments()]
        if self.gpus_per_run == 1:
            return words
        at = len(self.train)
        several = ["--num-gpus", str(self.gpus_per_run)]
        # runs that go on at the same time must not meet at one port
        several += ["--dist-url", "auto"] if self.slots != [()] else []
        return [*words[:at], *several, *words[at:]]

    def variables(self, slot: Slot) -> dict[str, str]:
        """The environment variables of a run in a slot, besides those that are there.

        Runs are not pinned to cores: one that is could not leave a core that others use.
        """
        found = {"CUDA_VISIBLE_DEVICES": ",".join(slot)} if slot else {}
        return found | ({"OMP_NUM_THREADS": str(self.threads)} if self.threads else {})

    def _start(self, run: Run, slot: Slot) -> None:
        command = self.command(run)
        resumes = "" if run.status() == "new" else ", resumed"
        number = self.plan.runs.index(run) + 1
        lock = run.lock()
        variables = self.variables(slot)
        run.note_start(current_origin(self.plan, run), shell_line(command, variables))
        self.say(f"run {number} of {len(self.plan.runs)}: {run.name}{resumes}: {run.folder}")
        try:
            with open(run.folder / "console.txt", "ab") as console:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **variables},
                    pass_fds=(lock,),
                    start_new_session=True,  # a Ctrl-C at the terminal is ours to pass on
                )
        finally:
            os.close(lock)  # the child has it now
        self._children.append(_Child(run, slot, process))

    def _collect(self) -> list[_Child]:
        """Take note of the children that have ended."""
        ended = [child for child in self._children if child.process.poll() is not None]
        for child in ended:
            self._children.remove(child)
            kill_group(child.process, signal.SIGKILL)  # what it leaves behind may hold its GPUs
            code, run = child.process.returncode, child.run
            if code == 0 and run.result() is not None:
                self.say(f"finished {run.name}; {progress_line(self.plan, len(self.slots))}")
            else:
                error = f"{reason(code)}: {last_line(run.folder / 'console.txt')}"
                run.note_error(error)
                self.say(f"FAILED {run.name}: {error} (all of it: {run.folder / 'console.txt'})")
            self.after_each()
        return ended

    def _stop(self, number: int) -> None:
        """End the children and what they have started; they save, and resume exactly there."""
        self.say(f"{signal.Signals(number).name}: ending {len(self._children)} runs")
        for child in self._children:
            kill_group(child.process, signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        for child in self._children:
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.say(f"{child.run.name} does not end; killing it")
            kill_group(child.process, signal.SIGKILL)  # and what it leaves behind
            child.process.wait()
        self.after_each()
