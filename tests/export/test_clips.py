"""Video models out: a file gives the model's probabilities at other sizes and numbers of clips."""

import json
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from detectron2.modeling import build_model
from numbered_videos import write_numbered
from peer_videos import shake_to_scale

from nonlocal_det.checkpoint import read_checkpoint
from nonlocal_det.configs import load_config
from nonlocal_det.export import FORMATS, ClipGraph, export_model

ROOT = Path(__file__).parents[2]
SMALL = ["MODEL.RESNETS.WIDTH_PER_GROUP", "8", "MODEL.VIDEO.NUM_CLASSES", "4"]
SMALL += ["INPUT.VIDEO.FRAMES", "4", "MODEL.VIDEO.STEM", "slowfast", "INPUT.VIDEO.TEST_SIZE", "64"]
KINDS = {
    "c2d": ("c2d_R50_8x8",),
    "nl_i3d": ("nl_i3d_R50_8x8",),
    "gaussian": ("nl_c2d_R50_32x2_gaussian",),
    "dot_product": ("nl_c2d_R50_32x2_dot_product",),
    "concatenation": ("nl_c2d_R50_32x2_concatenation",),
    "space": ("nl_c2d_R50_32x2_space",),
    "time": ("nl_c2d_R50_32x2_time",),
    "window": ("nl_c2d_R50_8x8", "MODEL.VIDEO.WINDOW", "[0, 1, 0, 0]"),
    "sigmoid-BGR": ("i3d_R50_8x8", "MODEL.VIDEO.LOSS", "sigmoid", "INPUT.FORMAT", "BGR"),
}


def lively(kind):
    name, *options = KINDS[kind]
    torch.manual_seed(0)
    model = build_model(load_config(f"video/{name}", [*SMALL, *options], "cpu")).eval()
    shake_to_scale(model.state_dict())
    return model


def clips(*sizes):
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(n, 3, 4, h, w, generator=generator) * 255 for n, h, w in sizes]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["torchscript", "onnx"])
def test_every_kind_of_video_model_is_exported(name, kind, tmp_path):
    """The example has a map of 2x2; of 9x8, with windows of 7x7 inside, is the last."""
    path = tmp_path / f"model{FORMATS[name].endings[0]}"
    sizes = [(1, 64, 64), (2, 64, 96), (1, 128, 64), (2, 288, 256)]
    done = export_model(lively(kind), name, path, clips(*sizes))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert (done.outputs, done.comparison.clips) == (("scores",), 5)
    assert str(done).endswith(f"checked: 5 clips, apart by scores {done.comparison.worst:.1e}")


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_has_the_names_of_the_classes(name, tmp_path):
    path, names = tmp_path / f"model{FORMATS[name].endings[0]}", {"thing_classes": list("abcd")}
    model = lively("nl_i3d")
    export_model(model, name, path, clips((1, 64, 64), (1, 64, 64)), names=names)
    if name == "torchscript":
        more = {"data_names.json": ""}
        torch.jit.load(str(path), _extra_files=more)
        assert json.loads(more["data_names.json"]) == names
    elif name == "onnx":
        content = onnx.load(str(path))
        (row,) = content.metadata_props
        assert (row.key, json.loads(row.value)) == ("data_names", names)
        (given,) = content.graph.input
        sides = [d.dim_param or d.dim_value for d in given.type.tensor_type.shape.dim]
        assert sides == ["clips", 3, 4, "height", "width"]
    else:
        loaded = read_checkpoint(path)
        assert loaded["data_names"] == names
        assert loaded["model"].keys() == model.state_dict().keys()


def test_a_file_that_disagrees_is_not_kept(tmp_path, monkeypatch):
    def read(path, graph):
        return lambda clips, threshold: {
            "scores": ClipGraph.eager(graph.model, clips, threshold)["scores"] + 1e-4
        }

    model = lively("c2d")
    monkeypatch.setitem(FORMATS, "torchscript", replace(FORMATS["torchscript"], read=read))
    with pytest.raises(
        ValueError, match=r"not kept: clips 0 \(1 x 3 x 4 .*: scores differ by 0.00"
    ):
        export_model(model, "torchscript", tmp_path / "a.ts", clips((1, 64, 64), (1, 64, 64)))
    assert not list(tmp_path.iterdir())


def test_the_tool_exports_a_video_model(tmp_path, monkeypatch, capsys):
    torch.save({"model": lively("nl_i3d").state_dict()}, tmp_path / "model_final.pth")
    videos = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for path in videos:
        write_numbered(path)

    def run(*words):
        start = ["export_model.py", "--config-file", "video/nl_i3d_R50_8x8"]
        start += ["--weights", tmp_path / "model_final.pth", "--output", tmp_path / "model.ts"]
        words = [*start, "--format", "torchscript", *words, *SMALL]
        monkeypatch.setattr(sys, "argv", [str(word) for word in words])
        runpy.run_path(str(ROOT / "tools" / "export_model.py"), run_name="__main__")
        return capsys.readouterr().out

    assert "checked: 5 clips, apart by scores" in run()
    views = ["INPUT.VIDEO.TEST_CLIPS", "2", "INPUT.VIDEO.TEST_CROPS", "1"]
    assert "checked: 2 clips, apart by scores" in run(
        "--images", *videos, "--format", "torchscript", *views
    )
