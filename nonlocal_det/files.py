"""Files written whole or not at all, and their sha256; standard library only."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

PARTIAL = ".partial"
"""The end of the name of a file that is being written; its beginning is a dot."""


class Sink:
    """A binary file to write to, whose failure waits until `check` is called.

    An exception raised inside a write would pass through the C++ writer of `torch.save`, which
    replaces it by its own or, in some versions, ends the process.

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
        """Do nothing: every write reaches the file at once."""

    def check(self) -> None:
        """Raise the error of the first write that failed.

        Raises:
            OSError: a write has failed, as on a full disk.
        """
        if self._error is not None:
            raise self._error


def write_atomically(path: Path, write: Callable[[Sink], object]) -> None:
    """Replace a file by a new one that has reached the disk, or leave it as it is.

    Args:
        path: of the file.
        write: is given the file to write the content to.

    Raises:
        OSError: a step has failed; ``path`` is as it was before, or, where only the last step
            (the sync of the folder) failed, has the new content.

    Example:
        >>> write_atomically(Path("result.json"), lambda file: file.write(b"{}"))
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
    """Sync a folder: without it, a power cut could undo the renaming."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_partial(folder: Path) -> None:
    """Remove the files that a killed process has left half written."""
    for path in folder.glob(f".*{PARTIAL}"):
        path.unlink(missing_ok=True)


def free_bytes(folder: Path) -> int:
    """Return the free space on the folder's disk, in bytes."""
    return shutil.disk_usage(folder).free


def sha256_of(path: str | Path) -> str:
    """Compute the sha256 of a file's content, as 64 hexadecimal digits.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
