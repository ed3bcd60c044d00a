"""Finds or installs a working Detectron2 for the torch that is there.

Standard library only: this runs before anything else of the project can.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .commands import PIP, InstallError, Steps
from .found import Found, look, refuse_old_or_broken, require_tools
from .wheel import pure_python_wheel

SOURCES = ("auto", "repository", "pypi")
REPOSITORY = "https://github.com/facebookresearch/detectron2.git"


def install(source: str = "auto", cache: Path | None = None, steps: Steps | None = None) -> Found:
    """Leaves a working Detectron2 as it is, else installs one.

    Args:
        source: `repository` builds Facebook Research's repository with its C++ operators, `pypi`
            a pure-Python wheel of the 0.6 release, `auto` tries them in this order.
        cache: directory for the source package and its wheel; None: `default_cache()`.
        steps: announces and runs every step.

    Returns:
        What is there now (in a dry run: what was there before).

    Raises:
        ValueError: for an unknown source.
        InstallError: if something needed is missing, broken or fails; it says what to do.
    """
    if source not in SOURCES:
        raise ValueError(f"source={source!r}; expected one of {', '.join(SOURCES)}")
    steps = steps or Steps()
    found = look(steps)
    refuse_old_or_broken(found)
    if found.works:
        steps.say(str(found))
        return found
    steps.say("detectron2 is not installed" + (f" ({found.error})" if found.error else ""))
    require_tools(found)
    steps.say(f"for torch {found.torch}, torchvision {found.torchvision}, {sys.executable}:")
    if source == "repository":
        return _from_repository(found, steps)
    if source == "pypi":
        return _from_pypi(found, cache or default_cache(), steps)
    return _from_either(found, cache or default_cache(), steps)


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/nonlocal_det`, or `~/.cache/nonlocal_det`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nonlocal_det"


def _from_either(found: Found, cache: Path, steps: Steps) -> Found:
    """The repository if it can be reached and built here, else PyPI; says which and why."""
    try:
        installed = _from_repository(found, steps)
    except InstallError as error:
        steps.say(f"{error}\nfalling back to PyPI's source package, without C++ operators")
    else:
        if not steps.dry_run:
            return installed
        steps.say("if that failed, PyPI's source package, without C++ operators:")
    return _from_pypi(found, cache, steps)


def _from_repository(found: Found, steps: Steps) -> Found:
    """Builds the repository's main branch with its C++ operators."""
    answer = steps.run(["git", "ls-remote", REPOSITORY, "HEAD"], 10)
    if answer.code:
        raise InstallError(
            f"{REPOSITORY} is not reachable: {answer.tail(1)}. "
            "Cure: check network, proxy and git, or use `--source pypi`"
        )
    steps.change(
        "build the repository and its C++ operators (takes minutes)",
        [*PIP, "install", "--no-build-isolation", f"git+{REPOSITORY}"],
        cure="the output says what the build misses; `--source pypi` needs no compiler",
    )
    return _prove(found, steps)


def _from_pypi(found: Found, cache: Path, steps: Steps) -> Found:
    """Installs the pure-Python wheel of the 0.6 release."""
    wheel = pure_python_wheel(cache, steps)
    steps.change("install it and what it needs", [*PIP, "install", str(wheel)])
    return _prove(found, steps)


def _prove(before: Found, steps: Steps) -> Found:
    """Looks again after an installation, for pip's word is no proof."""
    if steps.dry_run:
        return before
    found = look(steps)
    if not found.works:
        raise InstallError(
            f"detectron2 was installed but does not work: {found.error or 'it is not found'} "
            f"(path: {found.path}). Cure: is there another detectron2 on PYTHONPATH?"
        )
    steps.say(str(found))
    return found


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """The command line of `tools/install_detectron2.py` and `python -m nonlocal_det.install`.

    Args:
        argv: the arguments; None: the process's.
        prog: the program's name in its help.

    Returns:
        The exit code: 0 if a Detectron2 works (or a dry run went through), else 1.
    """
    description = "Finds or installs a working Detectron2 for the torch that is there."
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("--source", choices=SOURCES, default="auto", help="default: %(default)s")
    parser.add_argument("--cache", type=Path, help=f"default: {default_cache()}")
    parser.add_argument("--dry-run", action="store_true", help="say every step, change nothing")
    options = parser.parse_args(argv)
    try:
        install(options.source, options.cache, Steps(dry_run=options.dry_run))
    except InstallError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
