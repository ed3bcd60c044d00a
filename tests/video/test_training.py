"""Video models through the unchanged trainer: norms, precision, accumulation, compilation."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_training
import torch
from detectron2.data import DatasetCatalog
from detectron2.engine import DefaultTrainer
from detectron2.modeling import build_model
from fvcore.nn.precise_bn import get_bn_modules, update_bn_stats
from torch import nn

from nonlocal_det.configs import load_config
from nonlocal_det.data import build_train_stream
from nonlocal_det.data.coco_data import forget
from nonlocal_det.training.provenance import data_hashes
from nonlocal_det.video import register_video_data
from nonlocal_det.video.clips import clip_frames
from nonlocal_det.video.decoding import read_frames, video_index
from nonlocal_det.video.resnet_layers import FrozenBatchNorm3d

CONFIG = "video/quick/nl_i3d_R18"
TINY = [
    *("MODEL.RESNETS.WIDTH_PER_GROUP", "32", "INPUT.VIDEO.FRAMES", "4", "TEST.EVAL_PERIOD", "0"),
    *("INPUT.VIDEO.CROP", "32", "INPUT.VIDEO.MIN_SIZE_TRAIN", "32", "INPUT.VIDEO.TEST_SIZE", "32"),
    *("INPUT.VIDEO.MAX_SIZE_TRAIN", "40", "INPUT.VIDEO.TEST_CLIPS", "2"),
]


def train(out, *arguments, **options):
    return tiny_training.run(out, *TINY, *arguments, config=CONFIG, **options)


def config(*options):
    return load_config(CONFIG, [*TINY, "SOLVER.IMS_PER_BATCH", "4", *options], "cpu")


def weights(out):
    return torch.load(out / "model_final.pth", weights_only=True)["model"]


@pytest.mark.parametrize(
    "options",
    [
        ("MODEL.RESNETS.NORM", "BN", "TEST.PRECISE_BN.ENABLED", "True"),
        ("MODEL.RESNETS.NORM", "FrozenBN", "MODEL.NONLOCAL.NORM", ""),
        ("MODEL.RESNETS.NORM", "SyncBN", "MODEL.NONLOCAL.NORM", "SyncBN"),
        ("MODEL.RESNETS.NORM", "GN", "MODEL.NONLOCAL.NORM", "GN"),
        ("MODEL.RESNETS.NORM", "BN", "SOLVER.AMP.ENABLED", "True"),
    ],
    ids=lambda options: f"{options[1]}-{options[2].split('.')[1]}",
)
def test_each_norm_and_precision_trains_and_evaluates(moving_clips, tmp_path, options):
    results = train(tmp_path, *options, "TEST.PRECISE_BN.NUM_ITER", "2")
    assert set(results["video"]) >= {"top1", "top5", "class_accuracy"}
    assert (tmp_path / "result.json").is_file()
    changed = weights(tmp_path)["backbone.res4.nl0.g.weight"]
    assert torch.isfinite(changed).all()
    again = train(tmp_path, *options, "--eval-only", "MODEL.WEIGHTS", f"{tmp_path}/model_final.pth")
    assert again["video"] == results["video"]


def test_a_batch_in_parts_takes_the_step_of_the_whole(moving_clips, tmp_path):
    options = ("MODEL.RESNETS.NORM", "FrozenBN", "MODEL.NONLOCAL.NORM", "")
    options += ("MODEL.VIDEO.DROPOUT", "0.0", "SOLVER.IMS_PER_BATCH", "2")
    for name, words in (("whole", []), ("parts", ["--accumulate=2"])):
        train(tmp_path / name, *options, *words)
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=1e-4, atol=1e-6)


def test_an_interrupted_training_is_resumed_and_evaluated(moving_clips, tmp_path):
    train(tmp_path, iterations=2)
    results = train(tmp_path, "--resume", iterations=4)
    assert train(tmp_path, "--resume", "--eval-only")["video"] == results["video"]
    log = (tmp_path / "log.txt").read_text()
    assert "the training goes on exactly: 4 images have been given out" in log


def test_the_validation_loss_is_that_of_the_tests_clips_without_augmentation(
    moving_clips, tmp_path
):
    options = ("INPUT.VIDEO.STRIDE", "12", "INPUT.VIDEO.FLIP", "1.0")  # one clip a video
    results = train(tmp_path, "--val-loss", *options)
    cfg = config(*options, "MODEL.WEIGHTS", str(tmp_path / "model_final.pth"))
    model = build_model(cfg)
    model.load_state_dict(weights(tmp_path))
    losses = []
    for record in DatasetCatalog.get("moving_clips_val"):
        total = len(video_index(record["file_name"]))
        frames = read_frames(record["file_name"], clip_frames(0, 4, 12, total))
        assert total <= 48
        clip = torch.from_numpy(frames).permute(3, 0, 1, 2)  # (T, H, W, 3) -> (3, T, H, W)
        with torch.no_grad():
            (scored,) = model.eval()([{"video": clip[None]}])
        losses.append(-scored["scores"][0, record["label"]])
    expected = float(torch.stack(losses).mean())
    assert results["validation"]["loss_cls"] == pytest.approx(expected, rel=1e-4)
    assert results["validation"]["total_loss"] == results["validation"]["loss_cls"]
    written = json.loads((tmp_path / "result.json").read_text())
    assert written["metrics"]["validation"] == results["validation"]


def test_expected_results_end_a_training_and_an_evaluation_that_miss_them(moving_clips, tmp_path):
    def floors(low):
        return ("TEST.EXPECTED_RESULTS", f"[['video', 'top1', {low + 50}, 50]]")

    train(tmp_path, *floors(0))
    words = ("--eval-only", "MODEL.WEIGHTS", f"{tmp_path}/model_final.pth")
    train(tmp_path, *words, *floors(0))
    for missed in ((), words):
        with pytest.raises(SystemExit) as error:
            train(tmp_path / "missed", *missed, *floors(101))
        assert error.value.code == 1


def test_a_result_has_the_hash_of_its_lists(moving_clips, tmp_path):
    """Of class names, videos in order and labels: the folder may be elsewhere."""
    train(tmp_path)
    written = json.loads((tmp_path / "result.json").read_text())["data"]
    assert written == data_hashes(["moving_clips_train", "moving_clips_val"])
    assert len(set(written.values())) == 2
    assert all(len(value) == 64 for value in written.values())
    lines = ["a.mp4 0", "b.mp4 1"]

    def hash_of(*lines):
        (folder := tmp_path / str(len(list(tmp_path.iterdir())))).mkdir()
        (folder / "list.txt").write_text("\n".join(lines))
        register_video_data([("listed", str(folder / "list.txt"), str(folder))])
        return data_hashes(["listed"])["listed"]

    first = hash_of(*lines)
    assert hash_of(*lines) == first
    assert len({first, hash_of("a.mp4 1", "b.mp4 0"), hash_of(lines[0]), hash_of("c.mp4 0")}) == 4
    forget("listed")
    assert data_hashes(["kinetics400_val"]) == {"kinetics400_val": "-"}  # not on this machine


def test_precise_batch_norm_finds_every_norm_of_the_network(moving_clips):
    cfg = config()
    model = build_model(cfg)
    norms = {m for m in model.modules() if isinstance(m, nn.BatchNorm3d)}
    assert set(get_bn_modules(model)) == norms
    assert len(norms) == 20 + 2  # an R18's, and of two blocks
    batches = list(itertools.islice(build_train_stream(cfg), 2))
    with torch.no_grad():
        outputs = [
            nn.functional.conv3d(
                model.normalise(torch.stack([sample["video"] for sample in batch])),
                model.backbone.stem.conv1.weight,
                stride=(1, 2, 2),
                padding=(2, 3, 3),
            )
            for batch in batches
        ]
    update_bn_stats(model, batches, 2)
    expected = torch.cat(outputs).mean(dim=(0, 2, 3, 4))
    torch.testing.assert_close(model.backbone.stem.conv1.norm.running_mean, expected)


@pytest.mark.parametrize("norm", ["BN", "SyncBN", "GN"])
def test_norms_do_not_decay_and_the_momentum_is_nesterovs(norm):
    cfg = load_config("video/nl_i3d_R50_32x2")
    cfg.MODEL.RESNETS.NORM, cfg.MODEL.RESNETS.DEPTH, cfg.MODEL.DEVICE = norm, 18, "cpu"
    cfg.MODEL.NONLOCAL.NORM, cfg.MODEL.NONLOCAL.AFTER_BLOCKS = norm, [[], [0], [0], []]
    with torch.device("meta"):
        cfg.MODEL.DEVICE = "meta"
        model = build_model(cfg)
    optimizer = DefaultTrainer.build_optimizer(cfg, model)
    decay = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    of_norms = {id(p) for name, p in model.named_parameters() if name.split(".")[-2] == "norm"}
    assert {decay[key] for key in of_norms} == {0.0}
    assert {value for key, value in decay.items() if key not in of_norms} == {1e-4}
    assert all(group["nesterov"] for group in optimizer.param_groups)


def test_a_frozen_norm_computes_what_the_norm_does_in_evaluation():
    norm = nn.BatchNorm3d(6).eval()
    for value in (norm.weight, norm.running_var):
        nn.init.uniform_(value, 0.5, 2)
    for value in (norm.bias, norm.running_mean):
        nn.init.normal_(value)
    frozen = FrozenBatchNorm3d(6)
    frozen.load_state_dict(norm.state_dict(), strict=False)
    x, grad = torch.randn(2, 6, 3, 4, 5), torch.randn(2, 6, 3, 4, 5)
    torch.testing.assert_close(frozen(x), norm(x))
    gradients = []
    for layer in (norm, frozen):
        leaf = x.clone().requires_grad_()
        y = layer(leaf)
        y.backward(grad)
        gradients.append((y, leaf.grad))
    torch.testing.assert_close(*gradients)
    assert not [*frozen.parameters()]
    half = x.bfloat16().requires_grad_()
    assert frozen(half).dtype == torch.bfloat16


def batch_of(cfg, count=4):
    video = cfg.INPUT.VIDEO
    shape = (3, video.FRAMES, video.CROP, video.CROP)
    return [
        {"video": torch.randint(0, 255, shape, dtype=torch.uint8), "label": k} for k in range(count)
    ]


def test_half_precision_gives_nearly_the_loss_of_full_precision():
    cfg = config()
    model = build_model(cfg).eval()
    batch = [{"video": sample["video"][None]} for sample in batch_of(cfg)]
    with torch.no_grad():
        full = [output["scores"] for output in model(batch)]
        with torch.autocast("cpu", torch.bfloat16):
            half = [output["scores"] for output in model(batch)]
    assert half[0].dtype == torch.float64
    torch.testing.assert_close(half, full, rtol=0, atol=0.02)


@pytest.mark.parametrize("norm", ["FrozenBN", "SyncBN"])
def test_the_network_is_captured_whole_by_torch_compile(norm):
    """Forward and backward, without a break; the compiler itself is torch's to test."""
    torch._dynamo.reset()
    cfg = config("MODEL.RESNETS.NORM", norm)
    model = build_model(cfg)
    compiled = torch.compile(model.backbone, backend="aot_eager", fullgraph=True)
    x = torch.randn(2, 3, 4, 32, 32)
    expected = model.backbone(x)["res5"]
    result = compiled(x)["res5"]
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-4)
    result.sum().backward()
    assert model.backbone.stem.conv1.weight.grad.isfinite().all()


@pytest.mark.slow
def test_two_processes_train_as_one_and_count_no_video_twice(moving_clips, tmp_path):
    options = ("MODEL.RESNETS.NORM", "SyncBN", "MODEL.NONLOCAL.NORM", "SyncBN")
    options += ("MODEL.VIDEO.DROPOUT", "0.0", "SOLVER.IMS_PER_BATCH", "4")
    results = train(tmp_path / "one", *options, iterations=3)["video"]
    words = ["--config-file", CONFIG, "--num-gpus", "2", "OUTPUT_DIR", str(tmp_path / "two")]
    words += ["SOLVER.MAX_ITER", "3", *tiny_training.TINY, *TINY, *options]
    tool = Path(__file__).parents[2] / "tools" / "train_net.py"
    subprocess.run([sys.executable, str(tool), *words], check=True, capture_output=True)
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-5, msg=name)
    of_two = json.loads((tmp_path / "two" / "result.json").read_text())["metrics"]["video"]
    # the weights are equal but for rounding, and so is what is no count
    assert of_two.pop("log_loss") == pytest.approx(results.pop("log_loss"), rel=1e-6)
    assert of_two == results
    predictions = json.loads(next((tmp_path / "two").rglob("video_predictions.json")).read_text())
    assert len({entry["video_id"] for entry in predictions}) == len(predictions) == 8


@pytest.mark.parametrize("workers", [1, 2])
def test_the_same_clips_come_from_any_number_of_workers(moving_clips, workers):
    streams = [
        build_train_stream(config("DATALOADER.NUM_WORKERS", str(count))) for count in (0, workers)
    ]
    for _, (batch, other) in zip(range(4), zip(*streams, strict=False), strict=False):
        assert [s["video_id"] for s in batch] == [s["video_id"] for s in other]
        assert [s["frames"] for s in batch] == [s["frames"] for s in other]
        assert all(torch.equal(a["video"], b["video"]) for a, b in zip(batch, other, strict=True))
    streams[1].close()


def test_a_stream_taken_up_later_gives_the_clips_that_come(moving_clips):
    stream = iter(build_train_stream(config()))
    batches = [next(stream) for _ in range(5)]
    later = build_train_stream(config())
    later.continue_from(later.seed, images=12)
    for sample, expected in zip(next(iter(later)), batches[3], strict=True):
        assert torch.equal(sample["video"], expected["video"])
