"""What a number was measured on, in a line, to stand beside it."""

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch


def hardware(device: str = "cpu", packages: Sequence[str] = ("torch", "mmcv-lite", "timm")) -> str:
    """The processor with torch's threads, or the GPU, and the versions of packages.

    Args:
        device: where the numbers were measured, as ``cpu`` or ``cuda``.
        packages: by the names they are installed under.
    """
    if torch.device(device).type == "cuda":
        where = torch.cuda.get_device_name(device)
    else:
        where = f"{_processor()}, {torch.get_num_threads()} threads"
    return ", ".join([where, *(f"{name} {_version(name)}" for name in packages)])


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def write_json(rows: Sequence[Mapping[str, Any]], path: Path, device: str = "cpu") -> None:
    """The rows with what they were measured on."""
    path.write_text(json.dumps({"hardware": hardware(device), "rows": list(rows)}, indent=1) + "\n")
