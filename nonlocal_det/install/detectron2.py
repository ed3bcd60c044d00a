"""Find or install a working Detectron2 for the installed torch.

Standard library only: this runs before anything else of the project can.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .commands import PIP, InstallError, Steps
from .installed import Installed, probe, refuse_old_or_broken, require_tools
from .wheel import pure_python_wheel

SOURCES = ("auto", "repository", "pypi")
EXAMPLES = """
Examples:
  %(prog)s                    # the repository, with C++ operators; else PyPI
  %(prog)s --source pypi      # the 0.6 release in pure Python
  %(prog)s --dry-run

Exit status: 0 Detectron2 works, 1 it does not: the last lines say why and what to do.
"""
REPOSITORY = "https://github.com/facebookresearch/detectron2.git"


def install(
    source: str = "auto", cache: Path | None = None, steps: Steps | None = None
) -> Installed:
    """Install Detectron2 unless a working one is installed.

    Args:
        source: `repository` builds Facebook Research's repository with its C++ operators, `pypi`
            a pure-Python wheel of the 0.6 release, `auto` tries them in this order.
        cache: directory for the source package and its wheel; None: `default_cache()`.
        steps: announces and runs every step.

    Returns:
        What is installed now (in a dry run: what was installed before).

    Raises:
        ValueError: `source` is not in SOURCES.
        InstallError: something needed is missing or broken, or a command fails; with the cure.
    """
    if source not in SOURCES:
        raise ValueError(f"source={source!r}; expected one of {', '.join(SOURCES)}")
    steps = steps or Steps()
    installed = probe(steps)
    refuse_old_or_broken(installed)
    if installed.works:
        steps.say(str(installed))
        return installed
    steps.say("detectron2 is not installed" + (f" ({installed.error})" if installed.error else ""))
    require_tools(installed)
    versions = f"torch {installed.torch}, torchvision {installed.torchvision}"
    steps.say(f"for {versions}, {sys.executable}:")
    if source != "pypi":
        try:
            built = _from_repository(installed, steps)
        except InstallError as error:
            if source == "repository":
                raise
            steps.say(f"{error}\nfalling back to PyPI's source package, without C++ operators")
        else:
            if source == "repository" or not steps.dry_run:
                return built
            steps.say("if that failed, PyPI's source package, without C++ operators:")
    wheel = pure_python_wheel(cache or default_cache(), steps)
    steps.change("install it and what it needs", [*PIP, "install", str(wheel)])
    return _prove(installed, steps)


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/nonlocal_det`, or `~/.cache/nonlocal_det`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nonlocal_det"


def _from_repository(installed: Installed, steps: Steps) -> Installed:
    """Build the repository's main branch with its C++ operators."""
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
    return _prove(installed, steps)


def _prove(before: Installed, steps: Steps) -> Installed:
    """Probe again after an installation: pip may succeed where the import fails."""
    if steps.dry_run:
        return before
    installed = probe(steps)
    if not installed.works:
        raise InstallError(
            f"detectron2 was installed but does not work: {installed.error or 'it is not found'} "
            f"(path: {installed.path}). Cure: is there another detectron2 on PYTHONPATH?"
        )
    steps.say(str(installed))
    return installed


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command line of `tools/install_detectron2.py` and `python -m nonlocal_det install`.

    Returns:
        The exit code: 0 if Detectron2 works (or in a dry run every step can be made), else 1.
    """
    description = "Find or install a working Detectron2 for the installed torch."
    parser = argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--source", choices=SOURCES, default="auto", help="default: %(default)s")
    parser.add_argument("--cache", type=Path, help=f"default: {default_cache()}")
    parser.add_argument("--dry-run", action="store_true", help="print every step, change nothing")
    options = parser.parse_args(argv)
    try:
        install(options.source, options.cache, Steps(dry_run=options.dry_run))
    except InstallError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
