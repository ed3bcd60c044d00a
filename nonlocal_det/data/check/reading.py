"""Read an annotation file as far as it can be read."""

import json
from typing import Any

from .findings import Findings
from .formats import HEAD, format_of_folder, format_of_json, format_of_text

SECTIONS = ("images", "annotations", "categories")


def read_content(findings: Findings) -> dict[str, Any] | None:
    """Read the findings' file and check that it is COCO's, in outline.

    Returns:
        The content, with three lists, of which "images" and "categories" are not empty; None when
        a finding says why there is none.
    """
    path = findings.json_file
    if path.is_dir():
        kind, detail = "other_format", format_of_folder(path) or "a folder, not a file"
        findings.file(kind, detail)
        return None
    if not path.is_file():
        findings.file("file_absent", "no such file")
        return None
    data = path.read_bytes()
    if not data.strip():
        findings.file("file_empty", f"{len(data)} bytes, none of them json")
        return None
    content = _parse(data, findings)
    if content is None:
        return None
    del data
    return _with_sections(content, findings)


def _parse(data: bytes, findings: Findings) -> Any:
    """The json, or None when a finding says why not."""
    if data.startswith(b"\xef\xbb\xbf"):
        findings.file("not_utf8", "the file begins with a BOM; save it as UTF-8 without one")
        return None
    try:
        content = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        name = format_of_text(data[:HEAD])
        utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        said = "UTF-16" if utf16 else f"byte {error.start} is not UTF-8"
        findings.file("other_format" if name else "not_utf8", name or said)
        return None
    except (ValueError, RecursionError) as error:
        name = format_of_text(data[:HEAD])
        cut = f"{error}; the file has {len(data)} bytes: is its copy complete?"
        findings.file("other_format" if name else "not_json", name or cut)
        return None
    if content is None:
        findings.file("other_format", "a json null")
    return content


def _with_sections(content: Any, findings: Findings) -> dict[str, Any] | None:
    name = format_of_json(content)
    if name:
        findings.file("other_format", name)
        return None
    missing = [key for key in SECTIONS if not isinstance(content.get(key), list)]
    for key in missing:
        findings.file("no_section", f'no list "{key}"; the file has {", ".join(content) or "none"}')
    if missing:
        return None
    for key, kind in (("images", "no_images"), ("categories", "no_categories")):
        if not content[key]:
            findings.file(kind, f'"{key}" is []')
    return content if content["images"] and content["categories"] else None
