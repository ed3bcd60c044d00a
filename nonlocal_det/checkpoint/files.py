"""Files that are there whole or not at all: written beside, synced, renamed, folder synced."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

PARTIAL = ".partial"
"""The end of the name of a file that is being written; its beginning is a dot."""


class Sink:
    """What `torch.save` writes to: a descriptor whose failure waits until `check` is called.

    An exception raised inside a write would pass through torch's C++ writer, which replaces it by
    one of its own or, in some versions, ends the process.

    Args:
        descriptor: of a file open for writing.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._error: OSError | None = None

    def write(self, data: bytes | memoryview) -> int:
        """Write all of the data, unless a write has failed before.

        Returns:
            The number of bytes given.
        """
        rest = memoryview(data).cast("B")
        size = rest.nbytes
        while rest and self._error is None:
            try:
                rest = rest[os.write(self.descriptor, rest) :]
            except OSError as error:
                self._error = error
        return size

    def flush(self) -> None:
        """Nothing waits here."""

    def check(self) -> None:
        """Raise what a write has met.

        Raises:
            OSError: as the operating system said.
        """
        if self._error is not None:
            raise self._error


def write_atomically(path: Path, write: Callable[[Sink], None]) -> None:
    """Replace a file by a new one that has reached the disk, or leave it as it is.

    Args:
        path: of the file.
        write: writes the content.

    Raises:
        OSError: a step has failed; what was at ``path`` before is there still, or, if it was the
            very last step, its whole successor.
    """
    scratch = path.with_name(f".{path.name}{PARTIAL}")
    try:
        descriptor = os.open(scratch, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            sink = Sink(descriptor)
            write(sink)
            sink.check()
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(scratch, path)
        _sync_folder(path.parent)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    """Without it, a power cut could undo the renaming."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_partial(folder: Path) -> None:
    """Remove what a killed process has left half written."""
    for path in folder.glob(f".*{PARTIAL}"):
        path.unlink(missing_ok=True)


def free_bytes(folder: Path) -> int:
    """The room on the folder's disk, in bytes."""
    return shutil.disk_usage(folder).free
