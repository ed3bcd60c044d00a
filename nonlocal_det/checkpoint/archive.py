"""What a `.pth` archive would make torch allocate and read, checked before torch opens it.

`torch.load(weights_only=True)` runs no code, but it unpacks what is compressed, and its older
versions take a storage's size from the pickle and not from the archive's record of it: a file that
lies would be read beyond its end in memory.
"""

import pickle
import zipfile
from pathlib import Path
from typing import Any

from .errors import CURE, DamagedError, RefusedError
from .opcodes import BoundedFile, scan_pickle

# by what comes before "Storage" in the names of torch's classes
_BYTES = {"Untyped": 1, "Bool": 1, "Byte": 1, "Char": 1, "QInt8": 1, "QUInt8": 1}
_BYTES |= {"Half": 2, "BFloat16": 2, "Short": 2, "Float": 4, "Int": 4, "QInt32": 4}
_BYTES |= {"Double": 8, "Long": 8, "ComplexFloat": 8, "ComplexDouble": 16}


def check_archive(path: Path) -> None:
    """Refuse an archive that is not as `torch.save` writes them.

    Raises:
        RefusedError: compressed, overlapping or doubled records, names that lead out of it,
            TorchScript, storages of another size than their records.
        DamagedError: it is cut off.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            records = _records(archive, path)
            if "constants.pkl" in records:
                raise RefusedError(f"{path}: refused TorchScript, which is a program")
            if "data.pkl" not in records:
                raise DamagedError(f"{path} has no data.pkl: it is no checkpoint of torch")
            entry = records["data.pkl"]
            with archive.open(entry) as file:
                scan_pickle(file, entry.file_size, path)  # type: ignore[arg-type]
            sizes = {name: one.file_size for name, one in records.items()}
            with archive.open(entry) as file:
                _DryRun(BoundedFile(file, entry.file_size, str(path)), sizes).load()  # type: ignore[arg-type]
    except RefusedError as error:
        text = str(error).removeprefix(f"{path}: ")
        raise RefusedError(f"{path} is not a file of tensors alone: {text}; {CURE}") from error
    except DamagedError:
        raise
    except zipfile.BadZipFile as error:
        raise DamagedError(f"{path} is cut off or no archive: {error}") from error
    except Exception as error:  # a damaged archive can end in any error
        raise DamagedError(f"{path} is damaged: {error}") from error


def _records(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """The archive's records by their names below its one folder."""
    found: dict[str, zipfile.ZipInfo] = {}
    total = 0
    folders, lower = set(), set()
    for entry in archive.infolist():
        folder, _, name = entry.filename.partition("/")
        folders.add(folder)
        total += entry.file_size
        if ".." in entry.filename.split("/") or entry.filename.startswith("/") or not name:
            raise RefusedError(f"refused the record {entry.filename!r}: it leads out of the file")
        if entry.compress_type != zipfile.ZIP_STORED:
            raise RefusedError(f"refused the record {entry.filename!r}: it is compressed")
        if name.lower() in lower:  # torch looks for names without regard to case
            raise RefusedError(f"refused the record {entry.filename!r}: it is there twice")
        lower.add(name.lower())
        found[name] = entry
    if len(folders) != 1:
        raise RefusedError(f"refused an archive of {len(folders)} folders; torch writes one")
    if total > path.stat().st_size:
        raise RefusedError(
            f"refused an archive that claims {total} bytes in a file of {path.stat().st_size}"
        )
    return found


class _Anything:
    """Stands in for whatever the pickle makes; does nothing."""

    name = ""

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, item: Any) -> None:
        """Forget it."""

    def extend(self, items: Any) -> None:
        """Forget them."""


class _DryRun(pickle.Unpickler):
    """Executes the pickle with stand-ins for all it names, to see which storages it wants.

    Which names are harmless is left to torch's own allow-list.
    """

    def __init__(self, file: Any, sizes: dict[str, int]) -> None:
        super().__init__(file)
        self._sizes = sizes

    def find_class(self, module: str, name: str) -> Any:
        return type(name, (_Anything,), {"name": f"{module}.{name}"})

    def persistent_load(self, pid: Any) -> Any:
        kind, storage, key, location, count = pid
        if (type(kind), type(key), type(location), type(count)) != (str, str, str, int):
            raise RefusedError("refused a storage that is not named by plain words and a number")
        if kind != "storage" or not isinstance(storage, type) or not issubclass(storage, _Anything):
            raise RefusedError(f"refused a reference to a {kind!r:.40}; expected a storage")
        needed = count * _bytes_each(storage.name)
        there = self._sizes.get(f"data/{key}")
        if there != needed:
            raise RefusedError(
                f"refused the storage {key!r:.40}: it claims {needed} bytes, its record has {there}"
            )
        return _Anything()


def _bytes_each(storage: str) -> int:
    """The size of a storage's numbers, from its class's name as ``torch.FloatStorage``."""
    module, _, name = storage.rpartition(".")
    kind = name.removesuffix("Storage")
    if module not in ("torch", "torch.storage") or kind not in _BYTES:
        raise RefusedError(f"refused {storage} as a storage")
    return _BYTES[kind]
