"""The package as a plugin: a wheel, in an environment of its own, outside this repository."""

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PLUGIN = """
from detectron2.config import get_cfg
from detectron2.modeling import build_model
import nonlocal_det
from nonlocal_det import add_nonlocal_config, model_zoo

assert "site-packages" in nonlocal_det.__file__, nonlocal_det.__file__
cfg = get_cfg()
add_nonlocal_config(cfg)
cfg.merge_from_file(model_zoo.get_config_file("quick/nl_mask_keypoint_rcnn_R18"))
cfg.MODEL.DEVICE = "cpu"
names = [name for name, _ in build_model(cfg).named_modules() if name.split(".")[-1][:2] == "nl"]
assert len(names) == 5, names
configs = model_zoo.config_names()
assert len(configs) == EXPECTED
from nonlocal_det.model_zoo.rows import load_rows
assert sorted(row["config"] for row in load_rows()) == sorted(configs)
print("plugin works")
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """A fresh environment with the wheel in it, built from the sdist as a release is.

    torch and Detectron2 are borrowed from this one.
    """
    folder = tmp_path_factory.mktemp("plugin")
    source = folder / "source"  # a copy: pip builds in place, and would pack what is left there
    for name in ("nonlocal_det", "configs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    code = "from setuptools import build_meta; build_meta.build_sdist('..')"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=source)
    (archive,) = folder.glob("nonlocal_det-*.tar.gz")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q"]
        + ["-w", str(folder), str(archive)],
        check=True,
    )
    (wheel,) = folder.glob("nonlocal_det-*.whl")
    venv.create(folder / "env", with_pip=False)
    interpreter = folder / "env" / "bin" / "python"
    site = Path(
        subprocess.run(
            [interpreter, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
    )
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps"]
        + ["--target", str(site), str(wheel)],
        check=True,
    )
    # a plain path line: the .pth files over there, the editable install among them, do not count
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return interpreter


@pytest.mark.slow
def test_plugin_use_from_a_wheel(python, tmp_path):
    files = (ROOT / "configs").rglob("*.yaml")
    expected = sum(not path.name.startswith("Base-") for path in files)
    code = PLUGIN.replace("EXPECTED", str(expected))
    result = subprocess.run([python, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert result.stdout.strip().endswith("plugin works"), result.stderr[-2000:]


@pytest.mark.slow
def test_the_installer_runs_from_the_wheel(python, tmp_path):
    result = subprocess.run(
        [python, "-m", "nonlocal_det.install", "--dry-run"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert "detectron2" in result.stdout
    assert "works" in result.stdout, result.stdout + result.stderr
