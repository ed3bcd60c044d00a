"""The sha256 inside a checkpoint: in the comment that every zip archive may end with.

So a file and its digest are one, and no kill can come between them. Any program that reads `.pth`
files reads a sealed one as before. torch itself does not notice a flipped bit.
"""

import hashlib
import os
import re
import time
from pathlib import Path

from nonlocal_det.files import Sink

from .errors import DamagedError

_END = b"PK\x05\x06"  # of an archive's last record, 22 bytes without comment
_END_SIZE = 22
_DIGEST = 64  # hexadecimal digits
_SEAL = re.compile(rb"nonlocal_det saved=(\d{14}\.\d{3}) sha256=([0-9a-f]{64})\Z")
SEAL_SIZE = len("nonlocal_det saved= sha256=") + 18 + _DIGEST
_BLOCK = 1 << 20


def seal(sink: Sink, now: float | None = None) -> None:
    """Append the time and the sha256 of all before it to an archive that was just written.

    Args:
        sink: where `torch.save` has written the archive.
        now: seconds since 1970; by default the clock's.

    Raises:
        OSError: a write has failed.
    """
    sink.check()
    size = os.fstat(sink.descriptor).st_size
    os.pwrite(sink.descriptor, SEAL_SIZE.to_bytes(2, "little"), size - 2)  # the comment's length
    when = time.time() if now is None else now
    sink.write(f"nonlocal_det saved={when:018.3f} sha256=".encode())
    sink.check()
    digest = _sha256(sink.descriptor, size + SEAL_SIZE - _DIGEST)
    sink.write(digest)
    sink.check()


def is_sealed(path: Path) -> bool:
    """Whether the file has a seal, which is then right.

    Returns:
        False for a file without one, as other programs write them: nothing is known of it.

    Raises:
        DamagedError: it is empty, cut off, or not what was written.
    """
    with path.open("rb") as file:  # once: another process may replace the file
        descriptor = file.fileno()
        size = os.fstat(descriptor).st_size
        if size == 0:
            raise DamagedError(f"{path} is empty")
        tail = _tail(descriptor, size)
        found = _SEAL.search(tail)
        if found is None:
            if os.pread(descriptor, 4, 0) == b"PK\x03\x04" and not _ends_as_an_archive(tail):
                raise DamagedError(f"{path} is cut off or changed: its end is not an archive's")
            return False
        if _sha256(descriptor, size - _DIGEST) != found[2]:
            raise DamagedError(f"{path} is not what was written: its sha256 has changed")
    return True


def saved_at(path: Path) -> float:
    """When a checkpoint was saved, in seconds since 1970: by its seal, else by its file's time."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        found = _SEAL.search(_tail(file.fileno(), status.st_size))
    return float(found[1]) if found else status.st_mtime


def _tail(descriptor: int, size: int) -> bytes:
    start = max(0, size - _END_SIZE - SEAL_SIZE)
    return os.pread(descriptor, size - start, start)


def _ends_as_an_archive(tail: bytes) -> bool:
    end = tail[-_END_SIZE:]
    return end.startswith(_END) and end[-2:] == b"\0\0"


def _sha256(descriptor: int, size: int) -> bytes:
    """Of the first ``size`` bytes of an open file, as hexadecimal digits."""
    digest, at = hashlib.sha256(), 0
    while at < size and (block := os.pread(descriptor, min(_BLOCK, size - at), at)):
        digest.update(block)
        at += len(block)
    return digest.hexdigest().encode()
