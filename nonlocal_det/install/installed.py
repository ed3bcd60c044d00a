"""Which versions of Detectron2 and of what it needs are installed, and whether they suffice."""

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
class Installed:
    """What the probe reports of this Python: versions, None for what is not installed.

    Args:
        pip, setuptools, wheel, torch, torchvision: versions.
        torch_error, torchvision_error: why an installed one cannot be imported.
        version, path, operators: of Detectron2; `operators`: whether it has the C++ ones.
        error: why an installed Detectron2 does not work.
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
        """Whether Detectron2 is installed and all of it that we need can be imported."""
        return self.version is not None and self.error is None

    def __str__(self) -> str:
        """One line about a Detectron2 that works."""
        operators = "present" if self.operators else "absent; what needs them says so when used"
        return f"detectron2 {self.version} works: {self.path} (C++ operators: {operators})"


def probe(steps: Steps) -> Installed:
    """Import everything in a new Python process, and report what works.

    Raises:
        InstallError: the process is killed by an import.
    """
    finished = steps.run([sys.executable, str(PROBE)], None)
    lines = [line for line in finished.output.splitlines() if line.startswith('{"pip":')]
    if finished.code or not lines:
        raise InstallError(
            f"the check of what is installed ended with exit code {finished.code}:\n"
            f"{finished.tail()}\nCure: an extension that crashes was built for another torch; "
            f"`{' '.join(PIP)} uninstall -y detectron2`, then run this again"
        )
    return Installed(**json.loads(lines[-1]))


def refuse_old_or_broken(installed: Installed) -> None:
    """Refuse to replace what the user has installed.

    Raises:
        InstallError: Detectron2 is older than 0.6, or pip lists one that does not work; with the
            command that removes it.
    """
    remove = f"`{' '.join(PIP)} uninstall -y {installed.distribution or 'detectron2'}`"
    if installed.version and numbers(installed.version) < OLDEST:
        raise InstallError(
            f"detectron2 {installed.version} at {installed.path} is too old: 0.6 or later is "
            f"needed. Cure: {remove}, then run this again"
        )
    if installed.error and installed.distribution:
        raise InstallError(
            f"detectron2 is installed ({installed.path or installed.distribution}) but does not "
            f"work: {installed.error}. Cure: install what it misses, or {remove} and run this again"
        )


def require_tools(installed: Installed) -> None:
    """Check that Detectron2 can be built.

    Raises:
        InstallError: pip, torch, torchvision or a setuptools that builds wheels is missing.
    """
    if installed.pip is None:
        raise InstallError(f"pip is missing. Cure: `{sys.executable} -m ensurepip`")
    for name, version, error in (
        ("torch", installed.torch, installed.torch_error),
        ("torchvision", installed.torchvision, installed.torchvision_error),
    ):
        if version is None:
            raise InstallError(
                f"{name} {'cannot be imported: ' + error if error else 'is missing'}. Cure: first "
                f"install the pins, `{' '.join(PIP)} install -r requirements.txt` (without a "
                "checkout: torch and torchvision from the same place)"
            )
    old = numbers(installed.setuptools or "") < OLDEST_SETUPTOOLS
    if installed.setuptools is None or (old and installed.wheel is None):
        raise InstallError(
            f"setuptools {installed.setuptools or '(missing)'} cannot build a wheel. "
            f"Cure: `{' '.join(PIP)} install 'setuptools>=70.1'`"
        )


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: (0, 6) of "0.6+cu113"."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(number) for number in match.group().split(".")) if match else ()
