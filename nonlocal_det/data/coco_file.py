"""Read a COCO json: the one way for registration, checks and evaluation."""

import json
import os
from pathlib import Path
from typing import Any

import msgspec

from .coco_formats import HEAD, format_of_folder, format_of_json, format_of_text

SECTIONS = ("images", "annotations", "categories")
_MAX_KEPT = 4
_contents: dict[Path, tuple[tuple[int, int], dict[str, Any]]] = {}


class CocoFileError(ValueError):
    """A file that is not a COCO json for detection.

    Attributes:
        kind: the key of `ISSUE_TYPES`.
        detail: what the file is instead.
    """

    def __init__(self, path: Path, kind: str, detail: str) -> None:
        super().__init__(f"{path}: {detail} ({kind}); expected a COCO json for detection")
        self.kind = kind
        self.detail = detail


def read_coco(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a json in COCO's detection format, in outline: the rows are not looked at.

    The content is kept for the next reader of the same file until `forget_contents`; nobody may
    change it.

    Args:
        path: of the annotation file.

    Returns:
        The content, with three lists, of which "images" and "categories" are not empty; no
        annotations where the file has no such list, as COCO's test-dev.

    Raises:
        FileNotFoundError: there is no such file.
        CocoFileError: the file is not json, or not in this format.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise CocoFileError(path, "other_format", format_of_folder(path) or "a folder, not a file")
    if not path.is_file():
        raise FileNotFoundError(
            f"annotation file {path} does not exist; give the path of a COCO json"
        )
    status = path.stat()
    stamp = status.st_mtime_ns, status.st_size
    key = path.resolve()
    if key not in _contents or _contents[key][0] != stamp:
        _contents.pop(key, None)
        content = _with_sections(_parse(path, path.read_bytes()), path)
        while len(_contents) >= _MAX_KEPT:
            del _contents[next(iter(_contents))]
        _contents[key] = stamp, content
    return _contents[key][1]


def forget_contents() -> None:
    """Free the contents that `read_coco` keeps: those of COCO take gigabytes."""
    _contents.clear()


def decode_json(data: bytes) -> Any:
    """Decode a json, with Python's NaN, Infinity and lone surrogates.

    Raises:
        ValueError: it is not json, or not UTF-8.
        RecursionError: it is nested too deeply.
    """
    try:
        return msgspec.json.decode(data)  # a quarter of the time of Python's, but JSON only
    except UnicodeDecodeError:
        raise
    except msgspec.DecodeError:
        return json.loads(data.decode("utf-8"))


def _parse(path: Path, data: bytes) -> Any:
    if not data.strip():
        raise CocoFileError(path, "file_empty", f"{len(data)} bytes, none of them json")
    if data.startswith(b"\xef\xbb\xbf"):
        detail = "the file begins with a BOM; save it as UTF-8 without one"
        raise CocoFileError(path, "not_utf8", detail)
    try:
        return decode_json(data)
    except UnicodeDecodeError as error:
        utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        kind, detail = "not_utf8", "UTF-16" if utf16 else f"byte {error.start} is not UTF-8"
        cause: Exception = error
    except (ValueError, RecursionError) as error:
        detail = f"not json: {error}; the file has {len(data)} bytes: is its copy complete?"
        kind, cause = "not_json", error
    name = format_of_text(data[:HEAD])
    raise CocoFileError(path, "other_format" if name else kind, name or detail) from cause


def _with_sections(content: Any, path: Path) -> dict[str, Any]:
    name = format_of_json(content)
    if name:
        raise CocoFileError(path, "other_format", name)
    if content.keys() >= {"images", "categories"}:
        content = {"annotations": [], **content}  # of a test set that is kept secret
    missing = [f'"{key}"' for key in SECTIONS if not isinstance(content.get(key), list)]
    if missing:
        detail = f"no list {', '.join(missing)}; the file has {', '.join(content) or 'nothing'}"
        raise CocoFileError(path, "no_section", detail)
    for key, kind in (("images", "no_images"), ("categories", "no_categories")):
        if not content[key]:
            raise CocoFileError(path, kind, f'"{key}" is empty')
    result: dict[str, Any] = content
    return result
