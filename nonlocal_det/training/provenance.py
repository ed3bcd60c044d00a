"""Where a number comes from: commit, versions, hardware, config and data, so that none is mixed."""

import hashlib
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from detectron2.data import MetadataCatalog

from nonlocal_det.files import sha256_of
from nonlocal_det.version import __version__

from .hardware import hardware as machine
from .hardware import installed

PACKAGE = Path(__file__).resolve().parent.parent


def commit() -> str:
    """The commit of this package's checkout; "-" outside one.

    Uncommitted changes of the code or the configs follow it as "+" and a hash of the difference.
    What was measured (the zoo's json files) is no code: to record it changes nothing here.
    """
    # asked of a file of ours: site-packages may lie inside the checkout of another project
    if not _git("ls-files", "__init__.py"):
        return "-"
    files = ("--", ".", "../configs", ":(exclude)model_zoo/*.json")
    changes = _git("diff", "HEAD", *files).encode()
    for name in _git("ls-files", "--others", "--exclude-standard", *files).split("\n"):
        changes += (PACKAGE / name).read_bytes() if name else b""
    mark = f"+{hashlib.sha256(changes).hexdigest()[:7]}" if changes else ""
    return _git("rev-parse", "--short=12", "HEAD").strip() + mark


def _git(*arguments: str) -> str:
    """What git says in the package's folder; "" where there is no git or no checkout."""
    try:
        result = subprocess.run(["git", *arguments], cwd=PACKAGE, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return result.stdout if result.returncode == 0 else ""


def command() -> str:
    """The command line of this process, for a user to repeat."""
    script, *arguments = sys.argv
    path = Path(script).resolve()
    if path.is_relative_to(PACKAGE):  # as `python -m` leaves it
        module = path.relative_to(PACKAGE.parent).with_suffix("").as_posix().replace("/", ".")
        return shlex.join(["python", "-m", module, *arguments])
    return shlex.join(["python", script, *arguments])


def versions() -> dict[str, str]:
    """The versions that decide a result."""
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),  # a class of its own
        "detectron2": installed("detectron2"),
        "nonlocal_det": __version__,
    }


def made_by(code: str, config: str, config_hash: str) -> dict[str, Any]:
    """What a checkpoint says of its origin.

    Args:
        code: the `commit` when it started.
        config: of the training, as text.
        config_hash: of it, without what does not make the model.
    """
    return {
        "commit": code,
        "command": command(),
        "versions": versions(),
        "config_hash": config_hash,
        "config": config,
    }


def hardware(device: str, processes: int = 1) -> str:
    """What a run used, in a few words.

    Args:
        device: a value of ``MODEL.DEVICE``.
        processes: of the run; a GPU each where the device is CUDA.
    """
    found = machine(device, processes * torch.get_num_threads())
    return f"{processes} x {found}" if device.startswith("cuda") else found


def data_hashes(names: Iterable[str]) -> dict[str, str]:
    """The sha256 of each data set's annotation file; "-" where there is no such file here."""
    return {
        name: _sha256(str(MetadataCatalog.get(name).get("json_file", "")))
        for name in sorted(set(names))
    }


def _sha256(path: str) -> str:
    if not os.path.isfile(path):
        return "-"
    status = os.stat(path)
    return _sha256_of(path, status.st_mtime_ns, status.st_size)


@cache
def _sha256_of(path: str, modified: int, size: int) -> str:
    """Read once: COCO's annotations are 0.5 GB."""
    return sha256_of(path)
