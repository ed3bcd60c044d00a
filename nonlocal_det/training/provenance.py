"""Where a number comes from: commit, versions, hardware, config and data."""

import hashlib
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from detectron2.data import MetadataCatalog

from nonlocal_det.files import sha256_of
from nonlocal_det.version import __version__

PACKAGE = Path(__file__).resolve().parent.parent


def commit() -> str:
    """Find the commit of this package's checkout; "-" outside one.

    Uncommitted changes of the code or the configs follow it as "+" and a hash of the difference.
    The zoo's json files hold what was measured, and do not count.
    """
    # asked of a file of the package: site-packages may lie in another project's checkout
    if not _git("ls-files", "__init__.py"):
        return "-"
    files = ("--", ".", "../configs", ":(exclude)model_zoo/*.json")
    changes = _git("diff", "HEAD", *files).encode()
    for name in _git("ls-files", "--others", "--exclude-standard", *files).split("\n"):
        changes += (PACKAGE / name).read_bytes() if name else b""
    mark = f"+{hashlib.sha256(changes).hexdigest()[:7]}" if changes else ""
    return _git("rev-parse", "--short=12", "HEAD").strip() + mark


def _git(*arguments: str) -> str:
    """Run git in the package's folder; "" where there is no git or no checkout."""
    try:
        result = subprocess.run(["git", *arguments], cwd=PACKAGE, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return result.stdout if result.returncode == 0 else ""


def command() -> str:
    """Write the command line of this process for a user to repeat."""
    script, *arguments = sys.argv
    if script.startswith("python -m "):  # nonlocal_det/__main__.py
        return f"{script} {shlex.join(arguments)}".strip()
    path = Path(script).resolve()
    if path.is_relative_to(PACKAGE):  # as `python -m` leaves it
        module = path.relative_to(PACKAGE.parent).with_suffix("").as_posix().replace("/", ".")
        return shlex.join(["python", "-m", module.removesuffix(".__main__"), *arguments])
    return shlex.join(["python", script, *arguments])


def versions() -> dict[str, str]:
    """Collect the versions that decide a result."""
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),  # a class of its own
        "detectron2": installed("detectron2"),
        "nonlocal_det": __version__,
    }


def made_by(code: str, config: str, config_hash: str) -> dict[str, Any]:
    """Describe the origin of a checkpoint.

    Args:
        code: the `commit` when it started.
        config: of the training, as text.
        config_hash: of it.
    """
    return {
        "commit": code,
        "command": command(),
        "versions": versions(),
        "config_hash": config_hash,
        "config": config,
    }


def hardware(
    device: str, processes: int = 1, threads: int | None = None, packages: Sequence[str] = ()
) -> str:
    """Describe what a number was measured on, in a few words.

    Args:
        device: a value of ``MODEL.DEVICE``.
        processes: of the run; a GPU each where the device is CUDA.
        threads: on a CPU, in all; by default torch's in each process.
        packages: whose versions follow.
    """
    if torch.device(device).type == "cuda":
        where = f"{processes} x {torch.cuda.get_device_name(device)}"
    else:
        where = f"{processor()}, {threads or processes * torch.get_num_threads()} threads"
    return ", ".join([where, *(f"{name} {installed(name)}" for name in packages)])


def processor() -> str:
    """Find the name of this machine's processor."""
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.is_file() else ():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def installed(name: str) -> str:
    """Find the version of an installed package, or "-"."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "-"


def data_hashes(names: Iterable[str]) -> dict[str, str]:
    """Hash each data set: its annotation file, or what its metadata's ``data_hash`` returns.

    "-" where there is neither here.
    """
    return {name: _hash_of_data(name) for name in sorted(set(names))}


def _hash_of_data(name: str) -> str:
    metadata = MetadataCatalog.get(name)
    if own := metadata.get("data_hash", None):
        return str(own())
    path = str(metadata.get("json_file", ""))
    return _hash(path, os.stat(path).st_mtime_ns) if os.path.isfile(path) else "-"


@cache
def _hash(path: str, modified: int) -> str:
    """Hash a version of a file once: COCO's annotations are 0.5 GB."""
    return sha256_of(path)
