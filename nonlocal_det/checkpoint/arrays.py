"""Pickles of numpy arrays and plain containers (`.pkl`: Detectron2's zoo, Caffe2, MSRA), as data.

Every name that a pickle may ask for is in one list, `ALLOWED`, and stands for a function or class
of this file: a pickle never calls numpy's own, whose types can be made to describe wrong memory.
"""

import math
import mmap
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .errors import CURE, DamagedError, RefusedError

_NUMBERS = re.compile(r"(b1|[iu][1248]|f[248]|c8|c16)\Z")


class _Dtype:
    """Stands in for `numpy.dtype`: numbers only, so no array of objects, records or text."""

    def __init__(self, name: Any, *_: Any) -> None:
        if not isinstance(name, str) or not _NUMBERS.match(name):
            raise RefusedError(f"refused numpy arrays of type {name!r:.80}; weights are numbers")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: Any) -> None:
        if state[1] not in ("<", ">", "|", "="):
            raise RefusedError("refused a numpy type that is made of others")
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """Stands in for an array until its content comes."""

    value: np.ndarray

    def __init__(self, *_: Any) -> None:
        pass

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


def _encode(text: Any, encoding: Any) -> bytes:
    """Encode bytes that Python 3's protocol 2 has written as a string."""
    if encoding != "latin1":
        raise RefusedError(f"refused _codecs.encode to {encoding!r:.80}")
    return bytes(text, "latin1")


def _ndarray(*_: Any) -> None:
    raise RefusedError("refused to call numpy.ndarray")


_NUMPY: dict[str, Callable[..., Any]] = {
    "multiarray._reconstruct": _Array,
    "multiarray.scalar": lambda dtype, content: _array(content, dtype, ())[()],
    "numeric._frombuffer": _array,
}
ALLOWED: dict[str, Callable[..., Any]] = {
    "numpy.ndarray": _ndarray,  # named as the class of an array, not called
    "numpy.dtype": _Dtype,
    "collections.OrderedDict": _Dict,
    "_codecs.encode": _encode,
    "__builtin__.bytes": lambda: b"",  # as Python 3's protocol 2 writes empty bytes
    **{f"numpy.core.{name}": make for name, make in _NUMPY.items()},
    **{f"numpy._core.{name}": make for name, make in _NUMPY.items()},  # since NumPy 2
}
"""Every name that a pickle may ask for, with what it gets."""


class _Unpickler(pickle._Unpickler):
    """Python's own unpickler: the one in C makes room for any memory slot that a file names."""

    dispatch = dict(pickle._Unpickler.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" not in ALLOWED:
            raise RefusedError(f"refused {module}.{name}, which its pickle asks for")
        return ALLOWED[f"{module}.{name}"]

    def load_build(self) -> None:
        changed = self.stack[-2]  # type: ignore[attr-defined]
        if not isinstance(changed, _Dtype | _Array | _Dict):
            raise RefusedError("refused a pickle that changes a function")
        changed.__setstate__(self.stack.pop())  # type: ignore[attr-defined]

    dispatch[pickle.BUILD[0]] = load_build  # type: ignore[assignment]


def read_arrays(path: Path) -> Any:
    """Read a pickle of numpy arrays, numbers, strings, dicts, lists and tuples.

    Args:
        path: of the file; pickles of Python 2 are read too.

    Returns:
        What it holds; arrays are looked for in a dict and in the dicts it holds.

    Raises:
        RefusedError: it holds or calls something else; says what.
        DamagedError: it is cut off or no pickle.
    """
    try:
        # a mapped file gives no more than it has, whatever length a pickle claims
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as seen:
            content = _Unpickler(seen, encoding="latin1").load()
        return _with_arrays(content, nested=1)
    except RefusedError as error:
        raise RefusedError(f"{path} is not a file of weights alone: {error}; {CURE}") from error
    except Exception as error:  # a damaged pickle can end in any error
        what = str(error) or type(error).__name__
        raise DamagedError(f"{path} is cut off, damaged or no pickle: {what}") from error


def _with_arrays(value: Any, nested: int) -> Any:
    """Put arrays in the place of their stand-ins, in dicts of dicts and no deeper."""
    if isinstance(value, _Array):
        return value.value
    if isinstance(value, dict) and nested >= 0:
        return {key: _with_arrays(item, nested - 1) for key, item in value.items()}
    return value
