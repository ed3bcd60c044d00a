"""The probe tells the truth about made-up packages, in a Python without any other."""

from pathlib import Path

import pytest

from nonlocal_det.install import Steps
from nonlocal_det.install.commands import Finished, run_command
from nonlocal_det.install.installed import Installed
from nonlocal_det.install.installed import probe as probe_installed

WORKING = {
    "torch.py": "__version__ = '2.11.0'",
    "torchvision.py": "raise RuntimeError('operator nms does not exist')",
    "detectron2/__init__.py": "__version__ = '0.6'",
    "detectron2/engine.py": "",
    "detectron2/evaluation.py": "",
    "detectron2/model_zoo.py": "def get_config_file(name): return name",
}


def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str]) -> Installed:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def run_bare(command: list[str], timeout: float | None) -> Finished:
        return run_command([command[0], "-S", *command[1:]])  # -S: no site-packages

    return probe_installed(Steps(run_bare))


def test_nothing_is_found_where_nothing_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert probe(tmp_path, monkeypatch, {}) == Installed()


@pytest.mark.parametrize("operators", [False, True])
def test_a_working_detectron2_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operators: bool
):
    found = probe(tmp_path, monkeypatch, WORKING | ({"detectron2/_C.py": ""} if operators else {}))
    assert found.works
    assert found.operators == operators
    assert (found.version, found.path) == ("0.6", str(tmp_path / "detectron2"))
    assert (found.torch, found.torchvision) == ("2.11.0", None)
    assert found.torchvision_error == "RuntimeError: operator nms does not exist"


@pytest.mark.parametrize(
    ("file", "text", "error"),
    [
        ("detectron2/__init__.py", "import fvcore", "No module named 'fvcore'"),
        ("detectron2/__init__.py", "", "no attribute '__version__'"),
        ("detectron2/engine.py", "raise OSError('symbol')", "OSError: symbol"),
        ("detectron2/evaluation.py", "import absent", "No module named 'absent'"),
        ("detectron2/model_zoo.py", "def get_config_file(name): raise OSError(name)", ".yaml"),
    ],
)
def test_what_does_not_work_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, text: str, error: str
):
    found = probe(tmp_path, monkeypatch, {**WORKING, file: text})
    assert not found.works
    assert found.error is not None
    assert error in found.error


def test_pip_knows_the_name_of_a_broken_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    info = {
        "pb1_detectron2-0.6.dist-info/METADATA": "Name: pb1-detectron2\nVersion: 0.6",
        "pb1_detectron2-0.6.dist-info/top_level.txt": "detectron2",
    }
    broken = {"detectron2/__init__.py": "import fvcore"}
    assert probe(tmp_path, monkeypatch, {**broken, **info}).distribution == "pb1-detectron2"
