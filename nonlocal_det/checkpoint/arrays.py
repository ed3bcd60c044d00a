"""Pickles of numpy arrays and plain containers (`.pkl`: Detectron2's zoo, Caffe2, MSRA), as data.

Every name that a pickle asks for is answered by a stand-in of this file; the functions of numpy
and of Python that they are called after are never called with what a file says.
"""

import math
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .errors import CURE, CheckpointError, DamagedError, RefusedError
from .opcodes import BoundedFile, scan_pickle

MAX_DEPTH = 16
"""Containers within containers; weights have two or three."""

_NUMBERS = re.compile(r"(b1|[iu][1248]|f[248]|c8|c16)\Z")


class _Maker:
    """Answers a name in a pickle; a pickle can call it and do nothing else with it."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise RefusedError("refused a pickle that changes a function")


class _Dtype:
    """Stands in for `numpy.dtype`: numbers only, so no array of objects, records or text."""

    def __init__(self, name: Any, align: Any = False, copy: Any = True) -> None:
        if not isinstance(name, str) or not _NUMBERS.match(name):
            raise RefusedError(f"refused numpy arrays of type {name!r}; weights are numbers")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: Any) -> None:
        _, order, *made_of = state[:5]
        if order not in ("<", ">", "|", "=") or made_of != [None, None, None]:
            raise RefusedError("refused a numpy type that is made of others")
        self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """Stands in for an array until its content comes."""

    def __init__(self) -> None:
        self.value: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        self.value = _array(content, dtype, shape, "F" if fortran else "C")


class _Dict(dict[Any, Any]):
    """Stands in for an OrderedDict; a state dict's ``_metadata`` is not needed."""

    def __setstate__(self, state: Any) -> None:
        pass


def _array(content: Any, dtype: Any, shape: Any, order: str = "C") -> np.ndarray:
    if isinstance(content, str):  # bytes, as Python 2 wrote them
        content = content.encode("latin1")
    if not isinstance(content, bytes | bytearray) or not isinstance(dtype, _Dtype):
        raise RefusedError(
            f"refused a numpy array whose content is a {type(content).__name__}; expected bytes"
        )
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise RefusedError(f"refused a numpy array of shape {shape!r:.80}")
    needed = math.prod(shape) * dtype.dtype.itemsize
    if needed != len(content):
        raise RefusedError(
            f"refused a numpy array of shape {shape}: it takes {needed} bytes, {len(content)} are "
            "there"
        )
    array = np.frombuffer(content, dtype.dtype).reshape(shape, order=order)  # type: ignore[call-overload]
    return array.astype(dtype.dtype.newbyteorder("="))  # a copy, which torch may change


def _scalar(dtype: Any, content: Any) -> Any:
    return _array(content, dtype, ())[()]


def _from_buffer(content: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    return _array(content, dtype, shape, "F" if order == "F" else "C")


def _encode(text: Any, encoding: Any) -> bytes:
    """As `_codecs.encode` is asked for by Python 3's protocol 2, to say bytes."""
    if encoding != "latin1":
        raise RefusedError(f"refused _codecs.encode to {encoding!r}")
    return bytes(text, "latin1")


def _no_bytes() -> bytes:
    """As Python 3's protocol 2 says empty bytes."""
    return b""


def _never(*_: Any) -> None:
    raise RefusedError("refused to call numpy.ndarray")


_KNOWN: dict[str, Callable[..., Any]] = {
    "multiarray._reconstruct": lambda *_: _Array(),
    "multiarray.scalar": _scalar,
    "numeric._frombuffer": _from_buffer,
}
ALLOWED = {
    "numpy.ndarray": _Maker(_never),
    "numpy.dtype": _Maker(_Dtype),
    "collections.OrderedDict": _Maker(_Dict),
    "_codecs.encode": _Maker(_encode),
    "__builtin__.bytes": _Maker(_no_bytes),
    **{f"numpy.core.{name}": _Maker(make) for name, make in _KNOWN.items()},
    **{f"numpy._core.{name}": _Maker(make) for name, make in _KNOWN.items()},  # since NumPy 2
}
"""Every name that a pickle may ask for, with what it gets."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" not in ALLOWED:
            raise RefusedError(f"refused {module}.{name}, which its pickle asks for")
        return ALLOWED[f"{module}.{name}"]

    def persistent_load(self, pid: Any) -> Any:
        raise RefusedError("refused a reference out of its pickle")


def read_arrays(path: Path) -> Any:
    """Read a pickle of numpy arrays, numbers, strings, dicts, lists and tuples.

    Args:
        path: of the file; pickles of Python 2 are read too.

    Returns:
        What it holds; an OrderedDict as a dict.

    Raises:
        RefusedError: it holds or calls something else; says what.
        DamagedError: it is cut off or no pickle.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            scan_pickle(file, size, path)
            file.seek(0)
            bounded = BoundedFile(file, size, str(path))
            content = _Unpickler(bounded, encoding="latin1").load()
        return _plain(content, {}, 0)
    except RefusedError as error:
        text = str(error).removeprefix(f"{path}: ")
        raise RefusedError(f"{path} is not a file of weights alone: {text}; {CURE}") from error
    except CheckpointError:
        raise
    except Exception as error:  # a damaged pickle can end in any error
        raise DamagedError(f"{path} is damaged or no pickle: {error}") from error


def _plain(value: Any, done: dict[int, Any], depth: int) -> Any:
    """The value without stand-ins; a part that is there many times is converted once."""
    if depth > MAX_DEPTH:
        raise RefusedError(f"refused containers nested more than {MAX_DEPTH} deep")
    if id(value) in done:
        return done[id(value)]
    plain = value
    if isinstance(value, _Array):
        if value.value is None:
            raise RefusedError("refused a numpy array without content")
        plain = value.value
    elif isinstance(value, dict):
        plain = {
            _plain(key, done, depth + 1): _plain(item, done, depth + 1)
            for key, item in value.items()
        }
    elif isinstance(value, list | tuple):
        plain = type(value)(_plain(item, done, depth + 1) for item in value)
    elif isinstance(value, _Maker | _Dtype):
        raise RefusedError("refused a function or a type among the weights")
    done[id(value)] = plain
    return plain
