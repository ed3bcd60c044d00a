"""What a pickle would do, counted before it does it: nothing is executed here."""

import pickletools
from pathlib import Path
from typing import BinaryIO

from .errors import DamagedError, RefusedError

MAX_OPCODES = 1 << 20
"""A hundred times what the weights of a ResNeXt-152 detector take; each may cost 100 bytes."""

# what makes objects by other ways than the functions that a reader knows by name
_FORBIDDEN = {"EXT1", "EXT2", "EXT4", "INST", "OBJ", "NEXT_BUFFER", "READONLY_BUFFER"}
_MEMO = {"PUT", "BINPUT", "LONG_BINPUT"}


class BoundedFile:
    """A file that is never asked for more than it has: an absurd length costs no memory.

    Args:
        file: open for reading, at the place to begin.
        size: bytes that it has from there.
        name: for messages.
    """

    def __init__(self, file: BinaryIO, size: int, name: str) -> None:
        self._file = file
        self._left = size
        self._name = name

    def read(self, count: int) -> bytes:
        """The next bytes.

        Raises:
            DamagedError: so many are not there.
        """
        if count > self._left:
            raise DamagedError(
                f"{self._name} is cut off or no pickle: it speaks of {count} bytes where "
                f"{self._left} are left"
            )
        self._left -= count
        return self._file.read(count)

    def readline(self) -> bytes:
        """The bytes to the end of the line."""
        line = self._file.readline()
        self._left -= len(line)
        return line


def scan_pickle(file: BinaryIO, size: int, path: Path) -> None:
    """Walk through one pickle without executing it.

    Args:
        file: open for reading, at the pickle's beginning; left behind its end.
        size: bytes from there to the end of the file.
        path: named in messages.

    Raises:
        RefusedError: it has more steps than weights need, a memory slot beyond them, or a kind of
            step that no file of weights has.
        DamagedError: it is cut off or no pickle.
    """
    if size == 0:
        raise DamagedError(f"{path} is empty: expected a pickle")
    count = 0
    try:
        for opcode, argument, _ in pickletools.genops(BoundedFile(file, size, str(path))):  # type: ignore[arg-type]
            count += 1
            if opcode.name in _FORBIDDEN:
                raise RefusedError(f"{path}: refused the pickle opcode {opcode.name}")
            slot = argument if opcode.name in _MEMO and isinstance(argument, int) else 0
            if count > MAX_OPCODES or slot > MAX_OPCODES:
                raise RefusedError(
                    f"{path}: refused a pickle of more than {MAX_OPCODES} steps or memory slots; "
                    "weights need far fewer"
                )
    except (RefusedError, DamagedError):
        raise
    except Exception as error:  # a damaged pickle can end in any error
        raise DamagedError(f"{path} is damaged or no pickle: {error}") from error
