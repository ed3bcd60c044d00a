"""Make the pure-Python Detectron2 wheel from PyPI's source package, once per cache.

Files are finished in a temporary directory and then renamed, so an interrupted run leaves nothing
unfinished in the cache.
"""

import hashlib
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nonlocal_det.files import sha256_of

from .commands import PIP, InstallError, Steps
from .patches import NEW_FILES, PATCHES, apply_patches, fingerprint

REQUIREMENT = "pb1-detectron2==0.6"
ARCHIVE = "pb1-detectron2-0.6.tar.gz"
ARCHIVE_SHA256 = "5d2e9e51e523ec72f6a31cca04b0a515492e9514b773a3d134cedc0677170b29"
WHEEL = "detectron2-0.6+purepython-py3-none-any.whl"


def pure_python_wheel(cache: Path, steps: Steps) -> Path:
    """Find the wheel in the cache or build it there; return its path, also in a dry run.

    Raises:
        InstallError: the download, a sha256, a patch or the build fails.
    """
    # a build is named after what it is made from
    key = hashlib.sha256((ARCHIVE_SHA256 + fingerprint(PATCHES)).encode()).hexdigest()[:12]
    wheel = cache / f"build-{key}" / WHEEL
    if wheel.parent.exists():
        if _is_whole(wheel):
            steps.say(f"the wheel is in the cache and its sha256 fits: {wheel}")
            return wheel
        if steps.begin(f"remove the damaged build (the wheel's sha256 differs): {wheel.parent}"):
            shutil.rmtree(wheel.parent)
    _build(_archive(cache, steps), wheel, steps)
    return wheel


def _archive(cache: Path, steps: Steps) -> Path:
    """Take the source package, its sha256 verified, from the cache, else download it."""
    archive = cache / ARCHIVE
    if archive.is_file():
        if sha256_of(archive) == ARCHIVE_SHA256:
            steps.say(f"the source package is in the cache and its sha256 fits: {archive}")
            return archive
        if steps.begin(f"remove the damaged source package (its sha256 differs): {archive}"):
            archive.unlink()
    with _scratch(cache, steps) as scratch:
        pinned = scratch / "requirements.txt"
        if not steps.dry_run:
            pinned.write_text(f"{REQUIREMENT} --hash=sha256:{ARCHIVE_SHA256}\n")
        options = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--require-hashes"]
        steps.change(
            f"download {REQUIREMENT} (sha256 {ARCHIVE_SHA256})",
            [*PIP, "download", *options, "--dest", str(scratch), "-r", str(pinned)],
            cure=f"see the output; without a network, put the file at {archive} yourself",
        )
        if not steps.dry_run:
            sha256 = sha256_of(scratch / ARCHIVE) if (scratch / ARCHIVE).is_file() else "(no file)"
            if sha256 != ARCHIVE_SHA256:
                raise InstallError(
                    f"{ARCHIVE} has sha256 {sha256}; expected {ARCHIVE_SHA256}. Cure: run this "
                    "again; if it stays so, the package index serves another file: use `--source "
                    "repository`"
                )
            (scratch / ARCHIVE).replace(archive)
    return archive


def _build(archive: Path, wheel: Path, steps: Steps) -> None:
    """Unpack, patch and build in a temporary directory, then rename."""
    with _scratch(wheel.parent.parent, steps) as scratch:
        source, out = scratch / REQUIREMENT.replace("==", "-"), scratch / "out"
        files = len({patch.file for patch in PATCHES})
        if steps.begin(
            f"unpack it, apply {len(PATCHES)} patches to {files} files, add {', '.join(NEW_FILES)}"
        ):
            with tarfile.open(archive) as tar:
                if hasattr(tarfile, "data_filter"):
                    tar.extractall(scratch, filter="data")
                else:  # Python before 3.10.12 and 3.11.4; the pinned sha256 says what is in it
                    tar.extractall(scratch)
            apply_patches(source, PATCHES)
        steps.change(
            "build the wheel",
            [*PIP, "wheel", "--no-build-isolation", "--no-deps", "-w", str(out), str(source)],
        )
        if steps.begin(f"keep it: {wheel}"):
            _keep(out, wheel)


def _keep(out: Path, wheel: Path) -> None:
    """Move a finished build, with its sha256 beside it, to its final path at once."""
    names = sorted(path.name for path in out.iterdir())
    if names != [wheel.name]:
        raise InstallError(
            f"pip built {', '.join(names) or 'nothing'}; expected only {wheel.name}, which is "
            "pure Python and serves every machine. Cure: correct nonlocal_det/install/patches.py"
        )
    (out / "sha256").write_text(sha256_of(out / wheel.name))
    try:
        out.rename(wheel.parent)
    except OSError:
        if not _is_whole(wheel):  # whole: another process has built the same meanwhile
            raise


def _is_whole(wheel: Path) -> bool:
    """Whether the wheel exists with the sha256 that was written beside it."""
    record = wheel.with_name("sha256")
    return wheel.is_file() and record.is_file() and record.read_text() == sha256_of(wheel)


@contextmanager
def _scratch(cache: Path, steps: Steps) -> Iterator[Path]:
    """A temporary directory in the cache, on the same disk so that renaming is atomic."""
    if steps.dry_run:
        yield cache / ".unfinished"
        return
    try:
        cache.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryDirectory(dir=cache, prefix=".unfinished-")
    except OSError as error:
        raise InstallError(
            f"cache={str(cache)!r} is not writable: {error}. Cure: `--cache DIRECTORY`"
        ) from error
    with temporary as path:
        yield Path(path)
