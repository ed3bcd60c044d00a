"""What a Python has of Detectron2 and of what it needs, and whether that will do."""

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from .commands import PIP, InstallError, Steps

PROBE = Path(__file__).with_name("probe.py")
OLDEST = (0, 6)
OLDEST_SETUPTOOLS = (70, 1)  # the first that builds wheels without the package `wheel`


@dataclass(frozen=True)
class Found:
    """What the probe found in this Python: versions, None for what is not there.

    Args:
        pip, setuptools, wheel, torch, torchvision: versions.
        torch_error, torchvision_error: why one that is there cannot be imported.
        version, path, operators: of Detectron2; `operators` tells whether the C++ ones are there.
        error: why Detectron2 does not work although something of it is there.
        distribution: the name under which pip knows a Detectron2 that does not work.
    """

    pip: str | None = None
    setuptools: str | None = None
    wheel: str | None = None
    torch: str | None = None
    torch_error: str | None = None
    torchvision: str | None = None
    torchvision_error: str | None = None
    version: str | None = None
    path: str | None = None
    operators: bool = False
    error: str | None = None
    distribution: str | None = None

    @property
    def works(self) -> bool:
        """Whether there is a Detectron2 and all of it that we need can be imported."""
        return self.version is not None and self.error is None

    def __str__(self) -> str:
        """One line about a Detectron2 that works."""
        operators = "present" if self.operators else "absent; what needs them says so when used"
        return f"detectron2 {self.version} works: {self.path} (C++ operators: {operators})"


def look(steps: Steps) -> Found:
    """Asks a new Python process what works.

    Args:
        steps: runs the process.

    Returns:
        What it reports.

    Raises:
        InstallError: if that process does not survive the imports.
    """
    finished = steps.run([sys.executable, str(PROBE)], None)
    lines = [line for line in finished.output.splitlines() if line.startswith('{"pip":')]
    if finished.code or not lines:
        raise InstallError(
            f"the check of what is installed ended with exit code {finished.code}:\n"
            f"{finished.tail()}\nCure: an extension that crashes was built for another torch; "
            f"`{' '.join(PIP)} uninstall -y detectron2`, then run this again"
        )
    return Found(**json.loads(lines[-1]))


def refuse_old_or_broken(found: Found) -> None:
    """Never replaces what somebody has installed: says how to remove it instead.

    Args:
        found: what is there.

    Raises:
        InstallError: if Detectron2 is older than 0.6, or pip knows one that does not work.
    """
    remove = f"`{' '.join(PIP)} uninstall -y {found.distribution or 'detectron2'}`"
    if found.version and numbers(found.version) < OLDEST:
        raise InstallError(
            f"detectron2 {found.version} at {found.path} is too old: 0.6 or later is needed. "
            f"Cure: {remove}, then run this again"
        )
    if found.error and found.distribution:
        raise InstallError(
            f"detectron2 is installed ({found.path or found.distribution}) but does not work: "
            f"{found.error}. Cure: install what it misses, or {remove} and run this again"
        )


def require_tools(found: Found) -> None:
    """Refuses a Python in which nothing can be built.

    Args:
        found: what is there.

    Raises:
        InstallError: if pip, torch, torchvision or a setuptools that builds wheels is missing.
    """
    if found.pip is None:
        raise InstallError(f"pip is missing. Cure: `{sys.executable} -m ensurepip`")
    for name, version, error in (
        ("torch", found.torch, found.torch_error),
        ("torchvision", found.torchvision, found.torchvision_error),
    ):
        if version is None:
            raise InstallError(
                f"{name} {'cannot be imported: ' + error if error else 'is missing'}. Cure: first "
                f"install the pins, `{' '.join(PIP)} install -r requirements.txt` (without a "
                "checkout: torch and torchvision from the same place)"
            )
    old = numbers(found.setuptools or "") < OLDEST_SETUPTOOLS
    if found.setuptools is None or (old and found.wheel is None):
        raise InstallError(
            f"setuptools {found.setuptools or '(missing)'} cannot build a wheel. "
            f"Cure: `{' '.join(PIP)} install 'setuptools>=70.1'`"
        )


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: (0, 6) of "0.6+cu113"."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(number) for number in match.group().split(".")) if match else ()
