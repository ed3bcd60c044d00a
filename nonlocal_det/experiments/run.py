"""One run in its folder: what it is, what has happened to it, and whether it is going on now."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nonlocal_det.training.result import RESULT, write_json

try:
    import fcntl
except ImportError:  # Windows: nothing tells that another process trains a run
    fcntl = None  # type: ignore[assignment]

Status = Literal["new", "running", "interrupted", "failed", "finished"]
Json = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One training of one model under one seed.

    The folder holds what Detectron2 writes, and ``result.json`` (written last, by the training
    itself), ``run.json`` (every start and how it ended), ``console.txt`` and ``run.lock``.

    Attributes:
        config: name of the config.
        seed: of the weights and the data order.
        folder: ``OUTPUT_DIR``.
        options: KEY VALUE pairs besides the seed and the folder.
        iterations: ``SOLVER.MAX_ITER``.
        config_hash: of the full config.
        rate: the learning rate where several are tried, else None.
        start: the run from whose final weights it starts, else None.
    """

    config: str
    seed: int
    folder: Path
    options: tuple[str, ...]
    iterations: int
    config_hash: str
    rate: float | None = None
    start: "Run | None" = None

    @property
    def name(self) -> str:
        """Its name in messages."""
        rate = "" if self.rate is None else f" lr {self.rate:g}"
        return f"{self.config}{rate} seed {self.seed}"

    def arguments(self) -> list[str]:
        """Return what follows the training command; ``--resume`` if there was a start before."""
        resume = [] if self.status() == "new" else ["--resume"]
        words = ["--config-file", self.config, *resume, "SEED", str(self.seed)]
        return [*words, "OUTPUT_DIR", str(self.folder), *self.options]

    def status(self) -> Status:
        """Read from the folder how far it has come."""
        if self.result() is not None:
            return "finished"
        if self.is_locked():
            return "running"
        if self.error():
            return "failed"
        return "interrupted" if self.starts() or self.has_checkpoint() else "new"

    def result(self) -> Json | None:
        """Read ``result.json``; None before the run has finished.

        Raises:
            ValueError: the file is not the json that a training writes.
        """
        return _read(self.folder / RESULT, needed="metrics")

    def starts(self) -> list[Json]:
        """Read every start that left something: time, commit, config hash, data, command, error."""
        content = _read(self.folder / "run.json", needed="starts")
        return content["starts"] if content else []

    def error(self) -> str:
        """Read how the last start failed; "" if it did not, or there was none."""
        starts = self.starts()
        return str(starts[-1]["error"]) if starts else ""

    def has_checkpoint(self) -> bool:
        """Tell whether Detectron2 can continue."""
        return (self.folder / "last_checkpoint").is_file()

    def note_start(self, origin: Json, command: str) -> None:
        """Record a start; earlier ones that left no checkpoint are dropped."""
        earlier = self.starts() if self.has_checkpoint() else []
        start = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **origin, "command": command}
        self._write([*earlier, {**start, "error": ""}])

    def note_error(self, error: str) -> None:
        """Record how the last start ended."""
        *earlier, last = self.starts()
        self._write([*earlier, {**last, "error": error}])

    def _write(self, starts: list[Json]) -> None:
        content = {"config": self.config, "seed": self.seed, "starts": starts}
        write_json(self.folder / "run.json", content)

    def lock(self) -> int:
        """Lock the run for a process that inherits the returned file descriptor.

        The kernel holds the lock as long as that process lives, even if the process that took it
        was killed: so no second training starts in the folder of an orphaned one.

        Raises:
            ValueError: a process holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.folder / "run.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise ValueError(self.in_use) from error
        return descriptor

    @property
    def in_use(self) -> str:
        """Say that another process trains it."""
        return f"{self.folder} is being trained by another process; wait for it, or end it"

    def is_locked(self) -> bool:
        """Tell whether a process is training it now."""
        if fcntl is None or not (self.folder / "run.lock").is_file():
            return False
        with open(self.folder / "run.lock") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False


def _read(path: Path, needed: str) -> Json | None:
    if not path.is_file():
        return None
    try:
        content: Json = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not json ({error}); move its folder away") from error
    if needed not in content:
        raise ValueError(f"{path} has no {needed!r}, so it is not ours; move its folder away")
    return content


def last_lines(path: Path) -> list[str]:
    """Read the end of a text file, at most 64 KiB; no lines where there is no file."""
    if not path.is_file():
        return []
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - (1 << 16)))
        return file.read().decode(errors="replace").split("\n")
