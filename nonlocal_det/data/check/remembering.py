"""Remember what the check of an annotation file has found, by the file's content."""

import hashlib
import json
import logging
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .findings import Example, Finding

logger = logging.getLogger(__name__)

FOLDER = "NONLOCAL_DET_CACHE"
"""The environment variable that names the folder; default: the user's cache folder."""


def cache_folder() -> Path:
    """Where checks are remembered; any file in it may be removed at any time."""
    named = os.environ.get(FOLDER)
    if named:
        return Path(named).expanduser() / "checks"
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "nonlocal_det" / "checks"


def memory_of(json_file: Path, training: bool) -> Path:
    """The file that remembers the check of an annotation file.

    Its name depends on the content of the annotation file and on the source of the checks.
    """
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    digest.update(b"training" if training else b"evaluation")
    with json_file.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return cache_folder() / f"{digest.hexdigest()}.json"


def remember(memory: Path, findings: dict[str, Finding], content: dict[str, Any]) -> None:
    """Keep findings, and of the content what the images and the comparison with others need.

    Where nothing can be written, that is said and nothing is kept.
    """
    kept = {
        "findings": [
            {"kind": one.kind, "count": one.count, "examples": [asdict(e) for e in one.examples]}
            for one in findings.values()
        ],
        "images": [_only(one, "id", "file_name", "width", "height") for one in content["images"]],
        "categories": [_only(one, "id", "name") for one in content["categories"]],
        "num_annotations": len(content["annotations"]),
    }
    scratch = memory.with_name(f".{memory.name}.{os.getpid()}")
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(json.dumps(kept))
        os.replace(scratch, memory)
    except OSError as error:
        logger.warning(f"the check is not remembered: {error}; set {FOLDER} to a folder")


def _only(record: Any, *keys: str) -> Any:
    """The record with these entries alone."""
    return {k: record[k] for k in keys if k in record} if isinstance(record, dict) else record


def recall(memory: Path) -> dict[str, Any] | None:
    """What `remember` has kept: "findings" by kind, "images", "categories", "num_annotations".

    Returns:
        None if there is nothing, or nothing readable: then the check is made again.
    """
    try:
        kept: dict[str, Any] = json.loads(memory.read_text())
    except (OSError, ValueError):
        return None
    kept["findings"] = {
        one["kind"]: Finding(one["kind"], one["count"], [Example(**e) for e in one["examples"]])
        for one in kept["findings"]
    }
    return kept
