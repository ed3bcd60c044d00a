"""Files that try to run code, to fill the memory, or to be read where they have nothing."""

import builtins
import io
import os
import pickle
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.testing._private import utils as numpy_utils

MARK = "code_has_run"  # a file in the current folder, which every payload makes
COMMAND = f"touch {MARK}"
PYTHON = f"open({MARK!r}, 'w')"


class Call:
    """Pickles as a call of a function, with a state for what it returns."""

    def __init__(self, function, *arguments, state=None):
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.reduced


class Foreign:
    def __setstate__(self, state):
        Path(MARK).touch()


def foreign() -> Foreign:
    one = Foreign()
    one.a = 1
    return one


def array_of(shape, dtype="f4", content=b"12345678") -> Call:
    """What numpy's own pickle of an array is, with any content."""
    start = np.zeros(1).__reduce__()
    return Call(*start[:1], *start[1], state=(1, shape, np.dtype(dtype), False, content))


def laughs(levels: int, width: int) -> list:
    """Few objects that are width ** levels ones if each is looked at where it is."""
    value: list = ["ha"]
    for _ in range(levels):
        value = [value] * width
    return value


def pkl(content, protocol: int = 4) -> bytes:
    return pickle.dumps(content, protocol)


def zoo(value) -> bytes:
    """As Detectron2's zoo packs it, beside a good array."""
    model = {"a.weight": np.zeros((2, 3), "f4"), "b": value}
    return pkl({"model": model, "__author__": "x"})


PKL: dict[str, tuple[bytes | Callable[[], bytes], str]] = {
    # name: the content, a word of the error
    "os_system": (pkl(Call(os.system, COMMAND)), "refused posix.system"),
    "os_system_protocol_0": (pkl(Call(os.system, COMMAND), 0), "refused posix.system"),
    "eval": (pkl(Call(builtins.eval, PYTHON)), "refused builtins.eval"),
    "exec_python_2": (b"\x80\x02c__builtin__\nexec\n(X\x01\x00\x00\x00atR.", "__builtin__.exec"),
    "getattr": (pkl(Call(getattr, "", "join")), "getattr"),
    "popen": (zoo(Call(subprocess.Popen, ["touch", MARK])), "refused subprocess.Popen"),
    "in_state_dict": (zoo(Call(os.system, COMMAND)), "refused posix.system"),
    "in_object_array": (zoo(np.array([Call(os.system, COMMAND)], object)), "refused"),
    "numpy_gadget": (zoo(Call(numpy_utils.runstring, PYTHON, {})), "runstring"),
    "numpy_load": (zoo(Call(np.load, "x.npy")), "load"),
    "torch_load": (zoo(Call(torch.load, "x.pth")), "torch"),
    "foreign_setstate": (zoo(foreign()), "Foreign"),
    "object_array": (zoo(np.array([1, "a"], object)), "O8"),
    "record_array": (zoo(np.zeros(3, [("a", "f4"), ("b", "i8")])), "V12"),
    "text_array": (zoo(np.array(["abc"])), "U3"),
    "absurd_shape": (zoo(array_of((10**6, 10**6))), "1000000"),
    "negative_shape": (zoo(array_of((-1, -2))), "(-1, -2)"),
    "content_of_objects": (zoo(array_of((2,), content=[1, 2])), "list"),
    "laughs_deep": (zoo(laughs(40, 2)), "'b' is a list"),
    "laughs_shallow": (zoo(laughs(10, 100)), "'b' is a list"),
    "nested_lists": (b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".", "holds a list"),
    "memo_bomb": (b"\x80\x02}r\xff\xff\xff\x7f.", "an empty dict"),
    "absurd_length": (b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little") + b"abc", "EOFError"),
    "absurd_frame": (b"\x80\x04\x95" + (1 << 40).to_bytes(8, "little") + b"}.", "an empty dict"),
    "absurd_integer": (b"\x80\x02\x8b" + (1 << 30).to_bytes(4, "little") + b"1.", "EOFError"),
    "million_steps": (b"\x80\x02" + b"]0" * 600_000 + b"}.", "an empty dict"),
    "extension": (b"\x80\x02\x82\x01.", "extension code 1"),
    "inst": (f"(S'{COMMAND}'\nios\nsystem\n.".encode(), "refused os.system"),
    "obj": (f"(cos\nsystem\nS'{COMMAND}'\no.".encode(), "refused os.system"),
    "outer_reference": (b"\x80\x02X\x01\x00\x00\x00aQ.", "persistent id"),
    "odd_codec": (
        b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R.",
        "rot13",
    ),
    "changed_function": (b"\x80\x02c_codecs\nencode\n}b.", "changes a function"),
    "called_ndarray": (b"\x80\x02cnumpy\nndarray\nK\x09\x85R.", "numpy.ndarray"),
    "function_as_weights": (zoo(np.ndarray), "function"),
    "not_a_dict": (pkl([1, 2]), "list"),
    "cut_off": (lambda: zoo(np.zeros(100))[:300], "cut off"),
    "empty": (b"", "pickle"),
    "html": (b"<html>404 Not Found</html>", "pickle"),
}


def saved(content, **options) -> bytes:
    """As `torch.save` writes it."""
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def model(value) -> bytes:
    return saved({"model": {"a": torch.zeros(2, 3), "b": value}})


class Storage:
    """Pickles as a reference to a storage; a class of any kind, any claim."""

    def __init__(self, kind=torch.FloatStorage, count=4, key="0", word="storage"):
        self.reference = (word, kind, key, "cpu", count)


class Pickler(pickle.Pickler):
    def persistent_id(self, one):
        return one.reference if isinstance(one, Storage) else None


def tensor_pickle(storage: Storage, shape=(4,)) -> bytes:
    rebuild = Call(torch._utils._rebuild_tensor_v2, storage, 0, shape, (1,), False, {})
    buffer = io.BytesIO()
    Pickler(buffer, 2).dump({"model": {"a": rebuild}})
    return buffer.getvalue()


def archive(records: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in records.items():
            file.writestr(name, content)
    return buffer.getvalue()


def tensor_archive(storage: Storage, shape=(4,), **more: bytes) -> bytes:
    """One tensor of 16 bytes, its pickle at will."""
    records = {"x/data.pkl": tensor_pickle(storage, shape), "x/data/0": bytes(16)}
    return archive({**records, "x/version": b"3\n", **more})


def only_pickle(content: bytes) -> bytes:
    return archive({"x/data.pkl": content, "x/version": b"3\n"})


def old_tensor(count: int) -> bytes:
    """One tensor of the format before torch 1.6, whose storage claims what is not there."""
    storage = Storage(count=count)
    storage.reference += (None,)
    numbers = b"".join(pkl(one, 2) for one in (0x1950A86A20F9469CFC6C, 1001, {}))
    end = pkl(["0"], 2) + count.to_bytes(8, "little") + bytes(16)
    return numbers + tensor_pickle(storage, (count,)) + end


def overlapping() -> bytes:
    """One record of 1 MiB under a hundred names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("x/data/0", bytes(1 << 20))
        for number in range(1, 100):
            twin = zipfile.ZipInfo(f"x/data/{number}")
            for field in ("header_offset", "file_size", "compress_size", "CRC"):
                setattr(twin, field, getattr(file.filelist[0], field))
            file.filelist.append(twin)
        file.writestr("x/data.pkl", tensor_pickle(Storage()))
    return buffer.getvalue()


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        info = tarfile.TarInfo("../evil")
        info.size = 4
        file.addfile(info, io.BytesIO(b"evil"))
    return buffer.getvalue()


OLD = {"_use_new_zipfile_serialization": False}
PTH: dict[str, tuple[bytes | Callable[[], bytes], str]] = {
    "os_system": (lambda: saved(Call(os.system, COMMAND)), "refused posix.system"),
    "eval_in_state_dict": (lambda: model(Call(builtins.eval, PYTHON)), "eval"),
    "foreign_class": (lambda: model(foreign()), "Foreign"),
    "numpy_object_array": (lambda: model(np.array([foreign()], object)), "numpy"),
    "old_format": (
        lambda: saved({"model": Call(os.system, COMMAND)}, **OLD),
        "refused posix.system",
    ),
    "old_storage_too_large": (lambda: old_tensor(1 << 32), "damaged"),
    "old_storage_absurd": (lambda: old_tensor(1 << 50), "damaged"),
    "old_million_steps": (lambda: old_tensor(4)[:30] + b"]0" * 600_000, "operand 48"),
    "bare_pickle": (pkl(Call(os.system, COMMAND)), "operand 149"),
    "tar": (tar, "begins with"),
    "torchscript": (lambda: tensor_archive(Storage(), **{"x/constants.pkl": b""}), "TorchScript"),
    "cut_off": (lambda: model(1)[:-100], "cut off"),
    "storage_of_os_system": (lambda: tensor_archive(Storage(os.system)), "storage"),
    "storage_of_a_class": (lambda: tensor_archive(Storage(subprocess.Popen)), "Popen"),
    "storage_too_large": (lambda: tensor_archive(Storage(count=1 << 40)), "no record has"),
    "storage_missing": (lambda: tensor_archive(Storage(key="9")), "data/9"),
    "no_storage": (lambda: tensor_archive(Storage(word="module")), "persistent_load of storage"),
    "shape_beyond_storage": (lambda: tensor_archive(Storage(), (10**9,)), "1000000000"),
    "repeated_number": (lambda: model(torch.zeros(1).expand(10**6, 10**6)), "1000000"),
    "zip_bomb": (
        lambda: archive({"x/data.pkl": bytes(1 << 25)}, zipfile.ZIP_DEFLATED),
        "compressed",
    ),
    "overlapping": (overlapping, "claims"),
    "path_up": (lambda: tensor_archive(Storage(), **{"x/../../evil": b""}), "outside"),
    "path_absolute": (lambda: tensor_archive(Storage(), **{"/etc/evil": b""}), "2 folders"),
    "twice": (lambda: tensor_archive(Storage(), **{"x/DATA/0": b""}), "twice"),
    "two_folders": (lambda: tensor_archive(Storage(), **{"y/other.pkl": b""}), "2 folders"),
    "no_pickle": (lambda: archive({"x/a": b""}), "version"),
    "memo_bomb": (lambda: only_pickle(b"\x80\x02}r\xff\xff\xff\x7f."), "an empty dict"),
    "million_steps": (lambda: only_pickle(b"\x80\x02" + b"]0" * 600_000), "operand 48"),
    "nested_lists": (lambda: model(laughs(20, 3)), "'b' is a list"),
    "not_tensors": (lambda: saved({"model": [1, 2]}), "list"),
    "numbered_tensors": (lambda: saved({"model": {1: torch.zeros(1)}}), "1 is a Tensor"),
    "a_tensor": (lambda: saved(torch.zeros(1)), "Tensor"),
    "html": (b"<html>404 Not Found</html>", "begins with"),
    "empty": (b"", "begins with"),
}

SAFETENSORS: dict[str, tuple[bytes | Callable[[], bytes], str]] = {
    "absurd_header": ((1 << 60).to_bytes(8, "little") + b"{}", "header"),
    "beyond_the_end": (
        b"\x50\0\0\0\0\0\0\0"
        + b'{"a":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4000000000]}}'.ljust(80),
        "header",
    ),
    "pickle": (pkl(Call(os.system, COMMAND)), "header"),
}

CORPUS = [
    (f"{name}.{kind}", content, word)
    for kind, files in (("pkl", PKL), ("pth", PTH), ("safetensors", SAFETENSORS))
    for name, (content, word) in files.items()
]
"""File name, content or its maker, a word that the error has."""
