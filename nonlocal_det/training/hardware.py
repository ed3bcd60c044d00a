"""What a number was measured on, in a line, to stand beside it."""

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch


def hardware(device: str, threads: int, packages: Sequence[str] = ()) -> str:
    """The processor and threads, or the GPU; and the versions of packages.

    Args:
        device: where the numbers were measured, as ``cpu`` or ``cuda``.
        threads: of torch.
        packages: by the names they are installed under.
    """
    if torch.device(device).type == "cuda":
        where = torch.cuda.get_device_name(device)
    else:
        where = f"{processor()}, {threads} threads"
    return ", ".join([where, *(f"{name} {installed(name)}" for name in packages)])


def processor() -> str:
    """The name of this machine's processor."""
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.is_file() else ():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def installed(name: str) -> str:
    """The version of an installed package, or "-"."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "-"


def write_json(rows: Sequence[Mapping[str, Any]], path: Path, where: str) -> None:
    """The rows with what they were measured on.

    Args:
        rows: what json can carry.
        path: of the file.
        where: from `hardware`.
    """
    path.write_text(json.dumps({"hardware": where, "rows": list(rows)}, indent=1) + "\n")
