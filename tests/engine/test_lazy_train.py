"""The lazy command trains as the YAML command does, resumes, evaluates and refuses."""

import json
import runpy
import sys
from pathlib import Path

import pytest
import tiny_training
import torch
from detectron2.config import LazyConfig

from nonlocal_det.checkpoint import read_checkpoint
from nonlocal_det.engine.lazy.setup import build_lazy_parser
from nonlocal_det.engine.lazy.train import lazy_main, lazy_train_net

ROOT = Path(__file__).parents[2]
NAME = "quick/nl_mask_keypoint_rcnn_R18"
TINY = [
    *("dataloader.train.total_batch_size=2", "train.checkpointer.period=100", "train.device=cpu"),
    "dataloader.train.mapper.augmentations.0.short_edge_length=[64]",
    "dataloader.test.mapper.augmentations.0.short_edge_length=64",
    *("optimizer.lr=0.001", "train.log_period=1"),
]


def arguments(out, *words, iterations=2, name=NAME):
    given = ["--config-file", name, *(w for w in words if w.startswith("--"))]
    given += [*TINY, f"train.output_dir={out}", f"train.max_iter={iterations}"]
    # as tiny_training's yaml: no step, and the warm-up as long
    given += ["lr_multiplier.scheduler.values=[1.0]", "lr_multiplier.scheduler.milestones=[]"]
    given += ["lr_multiplier.scheduler.num_updates=2", "lr_multiplier.warmup_length=1.0"]
    return given + [w for w in words if not w.startswith("--")]


def run(out, *words, **how):
    return lazy_main(build_lazy_parser().parse_args(arguments(out, *words, **how)))


def metrics(out):
    lines = [json.loads(line) for line in (out / "metrics.json").read_text().splitlines()]
    return [line for line in lines if "total_loss" in line]


def test_the_first_iteration_is_that_of_the_yaml_command(mini_coco, tmp_path):
    results = run(tmp_path / "lazy")
    assert {"bbox", "segm", "keypoints"} <= set(results)
    tiny_training.run(tmp_path / "yaml")
    lazy, yaml = (read_checkpoint(tmp_path / one / "model_final.pth") for one in ("lazy", "yaml"))
    assert lazy["iteration"] == yaml["iteration"] == 1
    ours, theirs = lazy["model"], yaml["model"]
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)  # two steps, bit by bit
    assert "optimizer" in lazy["trainer"]


def test_a_training_resumes_and_evaluates(mini_coco, tmp_path, messages):
    run(tmp_path, iterations=1)
    run(tmp_path, "--resume", iterations=2)
    assert [line["iteration"] for line in metrics(tmp_path)] == [0, 1]
    saved = read_checkpoint(tmp_path / "model_final.pth")
    assert saved["iteration"] == 1
    results = run(tmp_path, "--eval-only", f"train.init_checkpoint={tmp_path}/model_final.pth")
    assert "AP" in results["bbox"]
    assert "5 non-local blocks: backbone.bottom_up.res4.nl0" in " ".join(messages())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["optimizer.lr"], "'optimizer.lr' is no override of a lazy config; write key=value"),
        (["train.maxiter=3"], "train.maxiter=3: train has no 'maxiter'; it has output_dir, init"),
        (["modell.backbone=3"], "modell.backbone=3: modell has no 'backbone'; it has nothing"),
        (["train.amp.enabled=True"], "needs CUDA, and train.device='cpu'"),
        (["train.init_checkpoint=none.pth"], "init_checkpoint='none.pth': no such file"),
        (["dataloader.train.dataset.names=zzz"], "names 'zzz', which is not registered"),
        (
            ["model.backbone.bottom_up.block.pairwise=dot"],
            "MODEL.NONLOCAL.PAIRWISE='dot'; expected one of 'gaussian'",
        ),
        (["model.backbone.bottom_up.after_blocks=[[],[],[9],[]]"], "position 9 does not exist"),
    ],
)
def test_what_cannot_work_is_said_in_a_line(mini_coco, tmp_path, words, said):
    with pytest.raises(SystemExit) as error:
        lazy_train_net(arguments(tmp_path, *words))
    assert said in str(error.value)


def test_a_config_that_is_none_is_said(tmp_path):
    (tmp_path / "half.py").write_text("model = dict()\ntrain = dict()\n")
    with pytest.raises(SystemExit, match=r"half.py has no dataloader, optimizer, lr_multiplier"):
        lazy_train_net(["--config-file", str(tmp_path / "half.py")])
    with pytest.raises(SystemExit, match="--config-file is missing"):
        lazy_train_net([])


def test_a_non_local_config_without_a_block_is_refused(mini_coco, tmp_path):
    path = tmp_path / "nl_none.py"
    base = ROOT / "configs/lazy/quick/mask_keypoint_rcnn_R18.py"
    names = ("model", "dataloader", "optimizer", "lr_multiplier", "train")
    path.write_text(
        "from detectron2.config import LazyConfig\n"
        f"_cfg = LazyConfig.load({str(base)!r})\n"
        + "".join(f"{name} = _cfg.{name}\n" for name in names)
    )
    assert set(LazyConfig.load(str(path))) == set(names)
    with pytest.raises(SystemExit, match="is a non-local config, but the model it built has no"):
        lazy_train_net(arguments(tmp_path, name=str(path)))


def test_the_tool_shows_its_options(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["lazyconfig_train_net.py", "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(ROOT / "tools/lazyconfig_train_net.py"), run_name="__main__")
    said = capsys.readouterr().out
    assert "--allow-unmatched" in said
    assert "lazyconfig_train_net.py --config-file configs/lazy/nl_mask_rcnn_R50.py" in said
