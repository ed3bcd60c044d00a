"""A stand-in for every command the installer runs: no network, no pip, no torch."""

import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from nonlocal_det.files import sha256_of
from nonlocal_det.install import Steps
from nonlocal_det.install import wheel as wheel_module
from nonlocal_det.install.commands import Finished
from nonlocal_det.install.patches import Patch


class Machine:
    """Answers commands like a machine with torch, git and pip, and records them.

    `probe` is what the probe reports; the other attributes are what goes wrong on it.
    """

    def __init__(self, archive: Path) -> None:
        self.archive = archive
        self.probe = {"pip": "23", "setuptools": "80.10.2", "torch": "2.11", "torchvision": "0.26"}
        self.reachable = True
        self.build_fails = False
        self.installs_work = True
        self.built_name = wheel_module.WHEEL
        self.commands: list[list[str]] = []
        self.lines: list[str] = []

    def __call__(self, command: Sequence[str], timeout: float | None = None) -> Finished:
        self.commands.append(list(command))
        if command[1].endswith("probe.py"):
            return Finished(0, "a warning\n" + json.dumps(self.probe))
        if command[0] == "git":
            return Finished(0, "") if self.reachable else Finished(128, "no such host")
        return getattr(self, f"pip_{command[3]}")(command)

    def pip_install(self, command: Sequence[str]) -> Finished:
        if self.build_fails and "git+" in command[-1]:
            return Finished(1, "the compiler says no")
        if self.installs_work:
            self.probe |= {"version": "0.6", "path": "/there", "operators": "git+" in command[-1]}
        return Finished(0, "")

    def pip_download(self, command: Sequence[str]) -> Finished:
        target = Path(command[command.index("--dest") + 1]) / wheel_module.ARCHIVE
        target.write_bytes(self.archive.read_bytes())
        return Finished(0, "")

    def pip_wheel(self, command: Sequence[str]) -> Finished:
        assert "new name" in (Path(command[-1]) / "setup.py").read_text()
        out = Path(command[command.index("-w") + 1])
        out.mkdir()
        (out / self.built_name).write_bytes(b"a wheel")
        return Finished(0, "")

    def done(self) -> list[str]:
        """Short names of the commands so far, the probe left out; then forgets them."""
        names = [
            command[0] if command[0] == "git" else "git+" if "git+" in command[-1] else command[3]
            for command in self.commands
            if not command[1].endswith("probe.py")
        ]
        self.commands.clear()
        return names

    def steps(self, dry_run: bool = False) -> Steps:
        return Steps(self, self.lines.append, dry_run)

    @property
    def said(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    source = tmp_path / "pb1-detectron2-0.6"
    (source / "detectron2" / "utils").mkdir(parents=True)
    (source / "setup.py").write_text("old name\n")
    archive = tmp_path / "upstream.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(source, source.name)
    monkeypatch.setattr(wheel_module, "ARCHIVE_SHA256", sha256_of(archive))
    monkeypatch.setattr(
        wheel_module,
        "PATCHES",
        (Patch("setup.py", "old name", "new name", 1, "the test wants it"),),
    )
    return Machine(archive)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"
