import json
import re
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from lively_model import SIZES, lively_model, noise_images
from trained_model import NAME, SMALL, save_picture, save_weights

from nonlocal_det.checkpoint import read_checkpoint
from nonlocal_det.export import FORMATS, OPSET, export_model

ROOT = Path(__file__).parents[2]
NL_QUICK, BASELINE = NAME, "quick/mask_keypoint_rcnn_R18"
MODELS = {
    "mask": (BASELINE, "MODEL.KEYPOINT_ON", False),
    "keypoint": (BASELINE, "MODEL.MASK_ON", False),
    "nl_mask": (NL_QUICK, "MODEL.KEYPOINT_ON", False),
    "nl_keypoint": (NL_QUICK, "MODEL.MASK_ON", False),
    "nl_mask_keypoint": (NL_QUICK,),
}


@pytest.fixture(scope="module")
def lively():
    made = {}

    def get(kind):
        if kind not in made:
            config, *options = MODELS[kind]
            made[kind] = lively_model(config, *options)
        return made[kind]

    return get


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("name", FORMATS)
def test_every_kind_of_model_is_exported(name, kind, lively, tmp_path):
    path = tmp_path / f"model{FORMATS[name].endings[0]}"
    done = export_model(lively(kind), name, path, noise_images(), 0.01)
    assert done.path == path
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert done.comparison.images == 6  # of every size, with that of no detection
    assert done.comparison.detections >= 3 * (done.comparison.images - 1)
    expected = ["boxes", "scores", "classes"] + ["masks"] * ("mask" in kind)
    assert list(done.outputs) == expected + ["keypoints"] * ("keypoint" in kind)


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_has_the_names_of_the_classes(name, lively, tmp_path):
    path, names = tmp_path / f"model{FORMATS[name].endings[0]}", {"thing_classes": ["cat"]}
    export_model(lively("mask"), name, path, noise_images()[:2], 0.01, names)
    if name == "torchscript":
        more = {"data_names.json": ""}
        torch.jit.load(str(path), _extra_files=more)
        assert json.loads(more["data_names.json"]) == names
    elif name == "onnx":
        (row,) = onnx.load(str(path)).metadata_props
        assert (row.key, json.loads(row.value)) == ("data_names", names)
    else:
        assert read_checkpoint(path)["data_names"] == names


def test_the_documented_formats_are_those_there_are():
    text = (ROOT / "docs" / "tutorials" / "weights.md").read_text()
    rows = text.split("| format |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` ", rows, re.MULTILINE) == list(FORMATS)
    assert f"opset {OPSET}" in rows


@pytest.mark.parametrize(
    "options",
    [
        ["PAIRWISE", "gaussian", "SUBSAMPLE", "none"],
        ["PAIRWISE", "dot_product", "NORM", "BN"],
        ["PAIRWISE", "concatenation", "KERNEL", "sorted"],
        ["PRESET", "authors_code"],
        ["OPERATION", "per_position"],
        ["OPERATION", "global_context"],
    ],
    ids=lambda options: options[1],
)
@pytest.mark.parametrize("name", ["torchscript", pytest.param("onnx", marks=pytest.mark.slow)])
def test_every_block_is_exported(name, options, tmp_path):
    keys = [f"MODEL.NONLOCAL.{one}" if n % 2 == 0 else one for n, one in enumerate(options)]
    model = lively_model(NAME, *keys, "MODEL.MASK_ON", False)
    path = tmp_path / f"model{FORMATS[name].endings[0]}"
    images = noise_images()
    assert export_model(model, name, path, [images[0], *images[3:5]], 0.01).comparison.images == 3


def write_nothing(graph, image, path):
    path.write_text("new")


def test_a_file_that_disagrees_is_not_kept(lively, tmp_path, monkeypatch):
    from nonlocal_det.export import eager_outputs

    model = lively("mask")

    def read(path, graph):
        def run(image, threshold):
            found = eager_outputs(model, image, threshold)
            return {**found, "boxes": found["boxes"] + 0.01}

        return run

    wrong = replace(FORMATS["onnx"], write=write_nothing, read=read)
    monkeypatch.setitem(FORMATS, "onnx", wrong)
    path = tmp_path / "model.onnx"
    path.write_text("old")
    with pytest.raises(ValueError, match=r"onnx: the file does .* not kept: image 0 .*: boxes"):
        export_model(model, "onnx", path, noise_images())
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("model.onnx", "old")]


def test_what_torch_cannot_write_is_said_in_a_sentence(lively, tmp_path, monkeypatch):
    def write(graph, image, path):
        raise torch.onnx.errors.UnsupportedOperatorError("aten::searchsorted", 17, None)

    monkeypatch.setitem(FORMATS, "onnx", replace(FORMATS["onnx"], write=write))
    with pytest.raises(ValueError, match=r"onnx: torch cannot write .*aten::searchsorted") as error:
        export_model(lively("mask"), "onnx", tmp_path / "model.onnx", noise_images())
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "file", "said"),
    [
        ("tflite", "m.tflite", "format 'tflite'; expected one of torchscript, onnx"),
        ("onnx", "m.pt", r"m.pt: a file of format onnx ends in \.onnx$"),
        ("weights", "m.onnx", r"ends in \.safetensors or \.pth$"),
    ],
)
def test_a_format_that_is_not_there_is_refused(name, file, said, lively, tmp_path):
    with pytest.raises(ValueError, match=said):
        export_model(lively("mask"), name, tmp_path / file, noise_images())


def test_a_training_model_and_too_few_images_are_refused(lively, tmp_path):
    model, path = lively("mask"), tmp_path / "m.onnx"
    with pytest.raises(ValueError, match="1 images; one is the example"):
        export_model(model, "onnx", path, noise_images()[:1])
    model.train()
    try:
        with pytest.raises(ValueError, match=r"training mode; call model.eval\(\)"):
            export_model(model, "onnx", path, noise_images())
    finally:
        model.eval()


def test_onnx_without_its_runtime_says_how_to_get_it(lively, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ValueError, match=r"not installed; pip install 'nonlocal_det\[export\]'"):
        export_model(lively("mask"), "onnx", tmp_path / "m.onnx", noise_images())


def run_tool(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["export_model.py", *map(str, words)])
    runpy.run_path(str(ROOT / "tools" / "export_model.py"), run_name="__main__")


def test_the_tool_exports_a_checkpoint(tmp_path, monkeypatch, capsys):
    weights = tmp_path / "model_final.pth"
    torch.save({"model": lively_model(NAME).state_dict()}, weights)
    for n, size in enumerate(SIZES[:3]):
        save_picture(tmp_path / f"{n}.png", *size, seed=n)
    words = ["--config-file", NAME, "--weights", weights, "--format", "torchscript"]
    out = tmp_path / "out" / "model.ts"
    run_tool(monkeypatch, *words, "--images", tmp_path / "*.png", "--output", out, *SMALL)
    assert out.is_file()
    said = capsys.readouterr().out
    assert said.startswith(f"{out}: ")
    assert "checked: 3 images, " in said
    out = tmp_path / "weights.safetensors"
    words[-1] = "weights"
    run_tool(monkeypatch, *words, "--output", out, *SMALL)  # with drawn pictures
    assert "checked: 7 images, " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--format", "tflite", "--output", "m.tflite"],
            "format 'tflite'; expected one of torchsc",
        ),
        (["--format", "onnx", "--output", "m.onnx"], "baseline.pth is of another model: 40 missi"),
    ],
)
def test_the_tool_says_in_one_line_what_is_wrong(words, said, tmp_path, monkeypatch):
    baseline = save_weights(tmp_path / "baseline.pth", "quick/mask_keypoint_rcnn_R18")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=f"^error: .*{said}"):
        run_tool(monkeypatch, "--config-file", NAME, "--weights", baseline, *words, *SMALL)
