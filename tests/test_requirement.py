"""What `import nonlocal_det` says and allows when Detectron2 is missing, old or broken."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def python(code: str, fake: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run code with a fake detectron2 package in front; None blocks the real one."""
    block = "import sys; sys.modules['detectron2'] = None\n" if fake is None else ""
    front = f"import sys; sys.path.insert(0, {str(fake)!r})\n" if fake else ""
    return subprocess.run(
        [sys.executable, "-c", front + block + code], capture_output=True, text=True, cwd=ROOT
    )


def fake_detectron2(folder: Path, source: str) -> Path:
    package = folder / "detectron2"
    package.mkdir()
    (package / "__init__.py").write_text(source)
    return folder


def test_layers_and_installer_work_without_detectron2():
    result = python(
        "from nonlocal_det import layers, install, __version__\n"
        "import torch; print(tuple(layers.NonLocalBlock(8)(torch.zeros(1, 8, 4, 4)).shape))"
    )
    assert result.stdout.strip() == "(1, 8, 4, 4)", result.stderr


@pytest.mark.parametrize("name", ["add_nonlocal_config", "add_nonlocal", "model_zoo", "training"])
def test_everything_else_says_how_to_get_detectron2(name):
    result = python(f"from nonlocal_det import {name}")
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError")
    assert f"nonlocal_det.{name}: Detectron2 is not installed" in last
    assert "python -m nonlocal_det install" in last


def test_a_verb_says_in_one_line_how_to_get_detectron2():
    code = "import runpy; sys.argv[1:] = ['train']"
    result = python(f"{code}; runpy.run_module('nonlocal_det', run_name='__main__')")
    (line,) = result.stderr.strip().splitlines()[-1:]
    assert line.startswith("error: Detectron2 is not installed"), result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("__version__ = '0.5'", ["Detectron2 0.5 is too old", "0.6 is needed"]),
        ("__version__ = '0.6'", ["cannot be imported", "detectron2.data"]),
        ("import not_there_at_all", ["cannot be imported", "not_there_at_all"]),
        ("import os; os.LINEAR", ["cannot be imported (AttributeError", "LINEAR"]),
        ("from os import LINEAR", ["cannot be imported (ImportError", "LINEAR"]),
    ],
)
def test_an_old_or_broken_detectron2_is_named(tmp_path, source, words):
    fake = fake_detectron2(tmp_path, source)
    result = python("from nonlocal_det import add_nonlocal_config", fake)
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError")
    assert all(word in last for word in [*words, "python -m nonlocal_det install"]), last


def test_training_and_figures_of_attention_need_no_opencv():
    code = "import sys; sys.modules['cv2'] = None\n"
    code += "import nonlocal_det.training, nonlocal_det.evaluation\n"
    code += "from nonlocal_det.visualization import draw_attention, draw_predictions\n"
    code += "draw_predictions([], None, None)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: cannot import cv2")
    assert "pip install opencv-python-headless" in last


def test_an_unknown_attribute_is_an_attribute_error():
    import nonlocal_det

    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = nonlocal_det.nonsense


@pytest.mark.parametrize("name", ["layers", "install", "files"])
def test_the_light_rooms_load_neither_detectron2_nor_opencv(name):
    code = f"import sys, nonlocal_det.{name}\n"
    code += "print([m for m in ('detectron2', 'cv2', 'fvcore') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


def test_asking_for_the_config_registers_every_component():
    code = "from nonlocal_det import add_nonlocal_config\n"
    code += "from detectron2.modeling import BACKBONE_REGISTRY, ROI_KEYPOINT_HEAD_REGISTRY\n"
    code += "from detectron2.data import DatasetCatalog\n"
    code += "print('build_nonlocal_resnet_fpn_backbone' in BACKBONE_REGISTRY,"
    code += " 'NonLocalKRCNNConvDeconvUpsampleHead' in ROI_KEYPOINT_HEAD_REGISTRY,"
    code += " 'mini_coco_train' in DatasetCatalog)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "True True True", result.stderr
