"""The lazy command trains exactly what the YAML command does, resumes exactly, and refuses."""

import json
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_training
import torch
from lazy_twins import both

from nonlocal_det.checkpoint import read_checkpoint
from nonlocal_det.cli.arguments import build_argument_parser, config_from_arguments
from nonlocal_det.training.lazy.settings import in_lazy_words, read_settings, write_settings
from nonlocal_det.training.lazy.setup import build_lazy_parser, load_lazy_config
from nonlocal_det.training.lazy.train_net import lazy_main, lazy_train_net
from nonlocal_det.training.lazy.trainer import LazyTrainer
from nonlocal_det.training.step import replay
from nonlocal_det.training.train import fit
from nonlocal_det.visualization import read_metrics

ROOT = Path(__file__).parents[2]
NAME = "quick/nl_mask_keypoint_rcnn_R18"
TINY = [  # as tiny_training.TINY
    *("dataloader.train.total_batch_size=2", "lr_multiplier.steps=[]", "train.device=cpu"),
    "dataloader.train.mapper.augmentations.0.short_edge_length=[64]",
    "dataloader.test.mapper.augmentations.0.short_edge_length=64",
    *("train.expected_results=[]", "optimizer.lr=0.001", "train.checkpointer.period=100"),
]
TIMES = {"time", "data_time", "rank_data_time", "eta_seconds"}
ITERATIONS = 4


def arguments(out, *words, name=NAME):
    options = [word for word in words if word.startswith("--")]
    given = ["--config-file", str(name), *options, *TINY, f"train.output_dir={out}"]
    given += [f"train.max_iter={ITERATIONS}"]
    return given + [word for word in words if not word.startswith("--")]


def parsed(out, *words, **how):
    return build_lazy_parser().parse_args(arguments(out, *words, **how))


def same(one, other):
    """Bit for bit, through containers."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def logged(folder: Path) -> list[str]:
    """Rows as text: a metric that has no value is nan, which equals nothing."""
    return [
        json.dumps({key: value for key, value in row.items() if key not in TIMES})
        for row in read_metrics(folder / "metrics.json")
    ]


def assert_same_training(one: Path, other: Path) -> None:
    """Weights, momentum, seed, images, every row that was logged, and the results."""
    ours, theirs = (read_checkpoint(folder / "model_final.pth") for folder in (one, other))
    assert ours["iteration"] == theirs["iteration"] == ITERATIONS - 1
    assert same(ours["model"], theirs["model"])
    assert same(ours["trainer"], theirs["trainer"])
    rows = [logged(folder) for folder in (one, other)]
    assert rows[0] == rows[1]
    assert any('"total_loss"' in row for row in rows[0])
    results = [json.loads((folder / "result.json").read_text()) for folder in (one, other)]
    assert results[0]["metrics"] == results[1]["metrics"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Where a lazy training goes that nothing happens to."""
    return tmp_path_factory.mktemp("lazy")


@pytest.fixture
def trained(mini_coco, whole):
    if not (whole / "result.json").is_file():
        lazy_main(parsed(whole))
    return whole


def test_it_is_the_yaml_training_bit_for_bit(trained, tmp_path):
    tiny_training.run(tmp_path, iterations=ITERATIONS)
    assert_same_training(trained, tmp_path)
    result = json.loads((trained / "result.json").read_text())
    assert result["seed"] == 1
    assert result["inexact"] == []
    made_by = read_checkpoint(trained / "model_final.pth")["made_by"]
    assert json.loads(made_by["config"])["train"]["output_dir"] == str(trained)
    assert made_by["config_hash"] == result["config_hash"]


KILLED = """
import os, signal, sys
from nonlocal_det.checkpoint import SafeCheckpointer
from nonlocal_det.training.lazy.setup import build_lazy_parser
from nonlocal_det.training.lazy.train_net import lazy_main

save = SafeCheckpointer.save

def save_and_die(self, name, **extra):
    save(self, name, **extra)
    os.kill(os.getpid(), signal.SIGKILL)

SafeCheckpointer.save = save_and_die
lazy_main(build_lazy_parser().parse_args(sys.argv[1:]))
"""


def test_a_killed_training_resumes_exactly(trained, tmp_path, messages):
    words = ["train.checkpointer.period=2"]
    killed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED, *arguments(tmp_path, *words)],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": str(torch.get_num_threads()),
        },
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    assert [path.name for path in tmp_path.glob("*.pth")] == ["model_0000001.pth"]
    lazy_main(parsed(tmp_path, "--resume", *words))
    assert "the training goes on exactly: 4 images have been given out" in messages()
    assert_same_training(tmp_path, trained)


def test_it_evaluates_what_it_has_trained(trained, tmp_path, messages):
    weights = f"train.init_checkpoint={trained}/model_final.pth"
    results = lazy_main(parsed(tmp_path, "--eval-only", weights))
    expected = json.loads((trained / "result.json").read_text())["metrics"]
    assert results["bbox"]["AP"] == expected["bbox"]["AP"]
    assert set(results) == {"bbox", "segm", "keypoints"}
    assert "5 non-local blocks: backbone.bottom_up.res4.nl0" in " ".join(messages())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["optimizer.lr"], "'optimizer.lr' is no override of a LazyConfig; write PATH=VALUE"),
        (["train.maxiter=3"], "train.maxiter=3: train has no 'maxiter'; it has output_dir, init"),
        (["modell.backbone=3"], "modell.backbone=3: modell has no 'backbone'; it has nothing"),
        (["train.max_iter=many"], "train.max_iter='many'; expected int, as 40000"),
        (
            ["train.amp.enabled=True", "train.device=mps"],
            "train.amp.enabled=True needs CUDA or a CPU, and train.device='mps'",
        ),
        (["train.init_checkpoint=no.pth"], "train.init_checkpoint='no.pth': no such file"),
        (["dataloader.train.dataset.names=zzz"], "names 'zzz', which is not registered"),
        (["dataloader.train.total_batch_size=0"], "total_batch_size=0 cannot be shared"),
        (["model.backbone.bottom_up.block.pairwise=dot"], "error: pairwise='dot'; expected one"),
        (["model.backbone.bottom_up.after_blocks=[[],[],[9],[]]"], "error: after_blocks=[[], []"),
        (["model.backbone.bottom_up.resnet.stages.depth=19"], "depth=19; expected one of 18, 34"),
        (["--on-nonfinite=skip"], "--on-nonfinite skip: expected stop or skip-N"),
    ],
)
def test_what_cannot_work_is_said_in_a_line(mini_coco, tmp_path, words, said):
    with pytest.raises(SystemExit) as error:
        lazy_train_net(arguments(tmp_path, *words))
    assert said in str(error.value)


def own_config(folder, text, name="own.py"):
    path = folder / name
    path.write_text("from nonlocal_det.training.lazy import twin\n" + text)
    return path


TWIN = f'dataloader, lr_multiplier, model, optimizer, train = twin("{NAME}")\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model = dict()\ntrain = dict()\n", "has no dataloader, optimizer, lr_multiplier; the"),
        (TWIN + "del dataloader.test\n", "has no dataloader.test; the LazyConfig of a training"),
        (TWIN + "train.ddp = dict(fp16_compression=True)\n", "is not done here; leave it at False"),
        (TWIN + "train.log_period = 5\n", "train.log_period=5 is not done here; leave it at 20"),
        (TWIN + "train.ema = True\n", "train.ema=True says nothing here; take it out. There are"),
    ],
)
def test_a_config_that_says_something_in_vain_is_refused(tmp_path, text, said):
    with pytest.raises(SystemExit) as error:
        lazy_train_net(["--config-file", str(own_config(tmp_path, text))])
    assert said in str(error.value)


def test_the_config_file_is_not_forgotten():
    with pytest.raises(SystemExit, match="--config-file is missing; as --config-file configs/lazy"):
        lazy_train_net([])


def test_a_non_local_config_without_a_block_is_refused(mini_coco, tmp_path):
    text = TWIN.replace("/nl_", "/")
    path = own_config(tmp_path, text, "nl_none.py")
    with pytest.raises(SystemExit, match="nl_none.py is a non-local config, but the model it"):
        lazy_main(parsed(tmp_path, name=path))


def test_detectron2s_own_lazy_configs_are_understood(mini_coco, tmp_path):
    text = """
from detectron2 import model_zoo
model = model_zoo.get_config("common/models/mask_rcnn_fpn.py").model
dataloader = model_zoo.get_config("common/data/coco.py").dataloader
dataloader.train.dataset.names = "mini_coco_train"
dataloader.test.dataset.names = "mini_coco_val"
optimizer = model_zoo.get_config("common/optim.py").SGD
lr_multiplier = model_zoo.get_config("common/coco_schedule.py").lr_multiplier_1x
train = model_zoo.get_config("common/train.py").train
"""
    path = own_config(tmp_path, text)
    args = build_lazy_parser().parse_args(["--config-file", str(path), "train.device=cpu"])
    lazy, cfg = load_lazy_config(args)
    assert (cfg.MODEL.MASK_ON, cfg.MODEL.KEYPOINT_ON) == (True, False)
    assert (cfg.SOLVER.IMS_PER_BATCH, cfg.TEST.EVAL_PERIOD, cfg.SEED) == (16, 5000, -1)
    assert cfg.DATASETS.TRAIN == ("mini_coco_train",)
    assert args.keep_checkpoints == 100
    scaled = cfg.clone()
    scaled.defrost()
    scaled.SOLVER.STEPS = (1, 2)
    with pytest.raises(ValueError, match="lr_multiplier.steps would have to be"):
        write_settings(lazy, cfg, scaled)


def test_scaling_is_the_yaml_commands(mini_coco):
    args = build_lazy_parser().parse_args(["--config-file", NAME, "--scale-lr", "train.device=cpu"])
    lazy, given = load_lazy_config(args)
    write_settings(lazy, given, fit(given, args))
    words = ["--config-file", NAME, "--scale-lr", "MODEL.DEVICE", "cpu"]
    args = build_argument_parser().parse_args(words)
    expected = fit(config_from_arguments(args), args).SOLVER
    found = read_settings(lazy).SOLVER
    assert expected.IMS_PER_BATCH == 1
    for key in ("IMS_PER_BATCH", "BASE_LR", "STEPS", "WARMUP_ITERS", "CHECKPOINT_PERIOD"):
        assert found[key] == expected[key], key


def test_classes_follow_ones_own_data_unless_an_option_says_other(mini_coco, tmp_path):
    folder = mini_coco / "mini_coco"
    own = ["--coco-data", "own", str(folder / "annotations/person_keypoints_train2017.json")]
    own += [str(folder / "train2017")]
    words = ["dataloader.train.dataset.names=own", "dataloader.test.dataset.names=own"]
    words += ["train.device=cpu"]
    config = own_config(tmp_path, TWIN + "model.roi_heads.num_classes = 7\n")
    start = ["--config-file", str(config), *own]
    parser = build_lazy_parser()
    lazy, cfg = load_lazy_config(parser.parse_args([*start, *words]))
    assert cfg.MODEL.ROI_HEADS.NUM_CLASSES < 7
    assert lazy.model.roi_heads.box_predictor.num_classes == cfg.MODEL.ROI_HEADS.NUM_CLASSES
    with pytest.raises(ValueError, match="NUM_CLASSES=7 but the data set 'own' has"):
        load_lazy_config(parser.parse_args([*start, *words, "model.roi_heads.num_classes=7"]))


def test_the_hash_is_of_the_calls_alone():
    lazy, cfg = both(NAME)
    first = LazyTrainer.of(lazy).config_hash(cfg)
    lazy.train.seed, lazy.train.output_dir = 7, "elsewhere"
    assert LazyTrainer.of(lazy).config_hash(cfg) == first
    lazy.model.roi_heads.box_predictor.test_nms_thresh = 0.4
    assert LazyTrainer.of(lazy).config_hash(cfg) != first


def test_messages_name_the_paths_of_a_lazy_config():
    said = in_lazy_words("SOLVER.BASE_LR=1, SOLVER.MAX_ITER=2, MODEL.NONLOCAL.AFTER_BLOCKS=[]")
    assert said == "optimizer.lr=1, train.max_iter=2, after_blocks=[]"


def test_the_tool_shows_its_options(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["lazyconfig_train_net.py", "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(ROOT / "tools/lazyconfig_train_net.py"), run_name="__main__")
    said = capsys.readouterr().out
    for words in ("--allow-unmatched", "--on-nonfinite", "A LazyConfig is a program", "TEST.AUG"):
        assert words in said


@pytest.mark.slow
def test_several_processes_train_as_the_yaml_command_does(mini_coco, tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    yaml = ["--config-file", NAME, "--num-gpus", "2", *tiny_training.TINY]
    yaml += ["OUTPUT_DIR", str(tmp_path / "yaml"), "SOLVER.MAX_ITER", str(ITERATIONS)]
    lazy = arguments(tmp_path / "lazy", "--num-gpus=2")
    for module, words in (("train_net", yaml), ("lazy.train_net", lazy)):
        command = [sys.executable, "-W", "ignore", "-m", f"nonlocal_det.training.{module}", *words]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]
    assert_same_training(tmp_path / "lazy", tmp_path / "yaml")


def test_a_failed_step_of_a_lazy_training_is_not_replayed(mini_coco, tmp_path):
    words = ["optimizer.lr=1e30", "lr_multiplier.warmup_iters=0"]
    with pytest.raises(SystemExit, match=r"Lower optimizer.lr or raise lr_multiplier.warmup_iters"):
        lazy_main(parsed(tmp_path, *words))
    (batch,) = (tmp_path / "nonfinite").glob("batch*.pth")
    with pytest.raises(ValueError, match="is of a LazyConfig training, whose model only its"):
        replay(batch)
