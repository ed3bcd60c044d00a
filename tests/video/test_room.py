"""From files to scores: lists, mapper, model and evaluator of a video data set."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.modeling import build_model
from numbered_videos import write_numbered
from small_video import config

from nonlocal_det.data.coco_data import forget
from nonlocal_det.evaluation import VideoEvaluator
from nonlocal_det.layers import nonlocal_blocks
from nonlocal_det.synthetic.moving_clips import write_video
from nonlocal_det.video import register_video_data
from nonlocal_det.video.datasets import check_video_data, load_charades, load_kinetics
from nonlocal_det.video.mapper import VideoMapper


@pytest.fixture
def folder(tmp_path):
    for split, count in (("train", 2), ("val", 1)):
        for name in ("ball", "cat"):
            for k in range(count):
                path = tmp_path / split / name / f"{k}.mp4"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_numbered(path, 20)
    yield tmp_path
    for name in ("clips", "clips_val", "listed"):
        forget(name)


def test_class_folders_share_their_classes(folder):
    (folder / "train" / "dog").mkdir()
    write_numbered(folder / "train" / "dog" / "a.webm", 5, codec="libvpx-vp9")
    entries = [(n, "-", str(folder / s)) for n, s in (("clips", "train"), ("clips_val", "val"))]
    register_video_data(entries)
    assert [record["label"] for record in DatasetCatalog.get("clips")] == [0, 0, 1, 1, 2]
    assert [record["label"] for record in DatasetCatalog.get("clips_val")] == [0, 1]
    assert MetadataCatalog.get("clips_val").thing_classes == ["ball", "cat", "dog"]
    assert len({record["video_id"] for record in DatasetCatalog.get("clips")}) == 5


@pytest.mark.parametrize(
    ("lines", "labels", "classes"),
    [
        (["a b.mp4 1", "c.mp4 0"], [1, 0], ["0", "1"]),  # SlowFast's; paths may have blanks
        (["a.mp4,cat", "c.mp4,ball"], [1, 0], ["ball", "cat"]),
        (["a.mp4 2 0", "c.mp4 1"], [[0, 2], [1]], ["0", "1", "2"]),  # mmaction2's
        (["a.mp4,cat,ball", "c.mp4,cat"], [[0, 1], [1]], ["ball", "cat"]),
    ],
)
def test_lists_are_read(folder, lines, labels, classes):
    (folder / "list.txt").write_text("\n".join(lines) + "\n")
    register_video_data([("listed", str(folder / "list.txt"), str(folder))])
    records = DatasetCatalog.get("listed")
    assert [record["label"] for record in records] == labels
    assert MetadataCatalog.get("listed").thing_classes == classes
    name = "a b.mp4" if " b" in lines[0] else "a.mp4"
    assert records[0]["file_name"] == str(folder / name)


def test_kinetics_and_charades_are_read_as_published(tmp_path):
    name = "kinetics400_val"
    (tmp_path / "val" / "x").mkdir(parents=True)
    write_numbered(tmp_path / "val" / "x" / "abc_000011_000021.mp4", 5)
    head = "label,youtube_id,time_start,time_end,split"
    rows = [head, "cooking,gone,0,10,val", "zumba,abc,11,21,val"]
    (tmp_path / "val.csv").write_text("\n".join(rows))
    (record,) = load_kinetics(tmp_path, "val", name)
    assert record["label"] == 1
    assert MetadataCatalog.get(name).thing_classes == ["cooking", "zumba"]

    (tmp_path / "Charades_v1").mkdir()
    write_numbered(tmp_path / "Charades_v1" / "AB.mp4", 50)
    text = "id,actions,length\nAB,c092 0.00 0.50;c147 1.00 2.00,2.0\nCD,,3.0\n"
    (tmp_path / "Charades_v1_test.csv").write_text(text)
    (record,) = load_charades(tmp_path, "test", "charades_v1_test")
    assert record["actions"] == [(92, 0.0, 0.5), (147, 1.0, 2.0)]
    mapper = VideoMapper(config(), is_train=False)
    assert mapper(record)["label"] == [92, 147]  # of the whole video
    mapper = VideoMapper(config(), is_train=True)
    labels = {tuple(mapper(record)["label"]) for _ in range(30)}
    assert (92,) in labels  # of the clip
    assert (147,) in labels


def test_training_clips_and_test_views_have_the_frames_they_say(folder):
    record = {"file_name": str(folder / "train" / "cat" / "0.mp4"), "video_id": "a", "label": 1}
    sample = VideoMapper(config("INPUT.VIDEO.FLIP", 0.0), is_train=True)(record)
    assert sample["video"].shape == (3, 4, 32, 32)
    assert sample["video"].dtype == torch.uint8
    views = VideoMapper(config(), is_train=False)(record)
    assert views["video"].shape == (2 * 3, 3, 4, 32, 32)  # 2 clips x 3 crops
    assert views["frames"] == [[0, 2, 4, 6], [10, 12, 14, 16]]
    assert not views["repeated"]
    longer = VideoMapper(config("INPUT.VIDEO.STRIDE", 8), is_train=False)(record)
    assert longer["repeated"]


def test_a_crop_larger_than_the_picture_is_refused():
    with pytest.raises(ValueError, match="CROP=48, MIN_SIZE_TRAIN=32"):
        VideoMapper(config("INPUT.VIDEO.CROP", 48), is_train=True)


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_the_model_trains_and_scores(loss):
    torch.manual_seed(0)
    model = build_model(config("MODEL.VIDEO.LOSS", loss, "MODEL.NONLOCAL.NORM", "BN"))
    assert list(nonlocal_blocks(model)) == ["backbone.res4.nl0"]
    clips = torch.randint(0, 255, (2, 3, 4, 32, 32), dtype=torch.uint8)
    labels = [0, 2] if loss == "softmax" else [[], [0, 2]]
    batch = [{"video": clip, "label": label} for clip, label in zip(clips, labels, strict=True)]
    losses = model(batch)
    losses["loss_cls"].backward()
    assert model.backbone.res4.nl0.norm.weight.grad.abs().sum() > 0
    model.eval()
    with torch.no_grad():
        (scored,) = model([{"video": clips}])
        logits = model.logits(clips)[:, 0].double()
    assert scored["scores"].shape == (2, 3)
    expected = logits.log_softmax(-1) if loss == "softmax" else logits
    torch.testing.assert_close(scored["scores"], expected)


def test_a_block_is_the_identity_at_the_start_and_larger_pictures_are_averaged():
    torch.manual_seed(0)
    with_block = build_model(config()).eval()
    torch.manual_seed(0)
    without = build_model(config("MODEL.BACKBONE.NAME", "build_video_resnet_backbone")).eval()
    clip = torch.randint(0, 255, (1, 3, 4, 256, 288), dtype=torch.uint8)
    with torch.no_grad():
        one, other = (model.logits(clip) for model in (with_block, without))
    assert torch.equal(one, other)
    assert one.shape == (1, 2 * 3, 3)  # 8x9 positions of 7x7 windows


@pytest.mark.parametrize("merge", ["mean", "max"])
def test_views_are_merged_and_accuracy_counted(folder, merge):
    register_video_data([("clips", "-", str(folder / "train"))])
    cfg = config("MODEL.VIDEO.NUM_CLASSES", 2, "TEST.MERGE_VIEWS", merge)
    evaluator = VideoEvaluator("clips", cfg, str(folder / "out"))
    views = torch.tensor([[0.9, 0.1], [0.4, 0.6]]).double().log()
    for name, label in (("a", 0), ("b", 1)):
        sample = {"video_id": name, "label": label, "file_name": name}
        evaluator.process([sample], [{"scores": views}])
    results = evaluator.evaluate()["video"]
    assert (results["top1"], results["top5"]) == (50, 100)
    assert (folder / "out" / "confusion.csv").read_text().splitlines()[1:] == [
        "ball,1,0,0",
        "cat,1,0,0",
    ]
    top = 0.65 if merge == "mean" else 0.9
    assert np.exp(evaluator._scores["a"][0][0]) == pytest.approx(top)


def test_labels_and_files_are_checked_before_a_training(folder):
    register_video_data([("clips", "-", str(folder / "train"))])
    check_video_data(config(), "clips", True)
    with pytest.raises(ValueError, match=r"has class 1, but MODEL.VIDEO.NUM_CLASSES is 1"):
        check_video_data(config("MODEL.VIDEO.NUM_CLASSES", 1), "clips", True)
    for path in (folder / "train").rglob("*.mp4"):
        path.write_bytes(b"none")
    with pytest.raises(ValueError, match="no video can be read, as .*not a video"):
        check_video_data(config(), "clips", True)


@pytest.mark.parametrize(
    ("options", "cure"),
    [
        (["INPUT.VIDEO.STRIDE", 8], "FRAMES=4 x STRIDE=8 is longer than any of 4 .*STRIDE 5$"),
        (["INPUT.VIDEO.FRAMES", 32], "the longest has 20 frames; .*STRIDE 1 and FRAMES 20$"),
    ],
)
def test_a_clip_longer_than_any_video_is_refused(folder, options, cure):
    register_video_data([("clips", "-", str(folder / "train"))])
    check_video_data(config("INPUT.VIDEO.STRIDE", 6), "clips", True)  # needs 19 of 20 frames
    with pytest.raises(ValueError, match=cure):
        check_video_data(config(*options), "clips", True)


def test_three_crops_of_square_videos_are_refused_before_an_evaluation(folder):
    for number in range(2):
        path = folder / "square" / "ball" / f"{number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, iter(np.zeros((8, 32, 32, 3), np.uint8)), Fraction(25))
    register_video_data([("clips", "-", str(folder / "square"))])
    check_video_data(config(), "clips", True)
    with pytest.raises(ValueError, match="TEST_CROPS=3 of square .* set INPUT.VIDEO.TEST_CROPS 1"):
        check_video_data(config(), "clips", False)
    check_video_data(config("INPUT.VIDEO.TEST_CROPS", 1), "clips", False)
