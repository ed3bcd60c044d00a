"""What an evaluation of videos counts: views, processes, files that cannot be read, workers."""

import json

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog
from numbered_videos import write_numbered
from small_video import config

from nonlocal_det.data import TrainStream, build_test_loader
from nonlocal_det.data.coco_data import forget
from nonlocal_det.data.skipping import StrictMapper
from nonlocal_det.evaluation import VideoEvaluator
from nonlocal_det.evaluation import video as evaluation
from nonlocal_det.training.checks import check_data
from nonlocal_det.video import register_video_data
from nonlocal_det.video.mapper import VideoMapper

USED = ("DATASETS.TRAIN", ("clips",), "DATASETS.TEST", ("clips",), "DATALOADER.NUM_WORKERS", 0)


@pytest.fixture
def folder(tmp_path):
    for name, count in (("ball", 2), ("cat", 1), ("dog", 1)):
        for k in range(count):
            path = tmp_path / "train" / name / f"{k}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_numbered(path, 20 + 4 * k)
    register_video_data([("clips", "-", str(tmp_path / "train"))])
    yield tmp_path
    forget("clips")


def break_one(folder):
    (folder / "train" / "cat" / "0.mp4").write_bytes(b"not a video")


def score(evaluator, sample, *values):
    views = torch.tensor([values], dtype=torch.float64).log()
    evaluator.process([sample], [{"scores": views}])


def test_a_file_that_cannot_be_read_is_an_error_unless_allowed(folder, messages):
    break_one(folder)
    cfg = config(*USED)
    with pytest.raises(ValueError, match=r"cat/0.mp4 cannot be read .*--allow-bad-data"):
        list(build_test_loader(cfg, "clips"))
    with pytest.raises(ValueError, match=r"1 of 4 videos cannot be read, as .*--allow-bad-data"):
        check_data(cfg, train=False, allow_bad=False)
    check_data(cfg, train=False, allow_bad=True)
    assert any("1 of 4 videos cannot be read" in line for line in messages())
    evaluator = VideoEvaluator("clips", cfg, str(folder / "out"))
    for (sample,) in build_test_loader(cfg, "clips"):
        right = torch.full((len(sample["video"]), 3), 0.1, dtype=torch.float64)
        right[:, sample["label"]] = 0.8
        evaluator.process([sample], [{"scores": right.log()}])
    assert evaluator.evaluate()["video"]["top1"] == 75
    assert any("1 of 4 videos cannot be read and count as wrong" in line for line in messages())
    results = json.loads((folder / "out" / "video_results.json").read_text())
    assert results["videos"] == 4
    assert results["unreadable"] == [str(folder / "train" / "cat" / "0.mp4")]
    confusion = (folder / "out" / "confusion.csv").read_text().splitlines()
    assert confusion[0] == "class,ball,cat,dog,(no scores)"
    assert confusion[2] == "cat,0,0,0,1"


def test_a_training_takes_the_next_one_by_the_seed_and_counts(folder):
    break_one(folder)
    cfg = config(*USED, "SOLVER.IMS_PER_BATCH", 2, "SEED", 3)

    def draws(skip, batches):
        stream = TrainStream(cfg, DatasetCatalog.get("clips"), VideoMapper(cfg, is_train=True))
        stream.continue_from(3, 2 * skip)
        iterator = iter(stream)
        samples = [sample for _ in range(batches) for sample in next(iterator)]
        return samples, stream.skipped.reasons

    whole, reasons = draws(0, 6)
    assert [*reasons] == [str(folder / "train" / "cat" / "0.mp4")]
    resumed, _ = draws(4, 2)
    for one, other in zip(whole[8:], resumed, strict=True):
        assert one["file_name"] == other["file_name"]
        assert torch.equal(one["video"], other["video"])


def test_two_processes_count_no_video_twice(folder, monkeypatch):
    samples = [{"video_id": str(k), "label": k % 3, "file_name": str(k)} for k in range(5)]
    scores = np.random.default_rng(0).dirichlet(np.ones(3), 5)
    cfg, whole = config(), VideoEvaluator("clips", config())
    parts = [VideoEvaluator("clips", cfg), VideoEvaluator("clips", cfg)]
    for k, sample in enumerate(samples):
        score(whole, sample, *scores[k])
        score(parts[k % 2], sample, *scores[k])
    score(parts[0], samples[3], *scores[3])  # both have it
    gathered = [(part._scores, part._repeated, part._unreadable) for part in parts]
    expected = whole.evaluate()
    monkeypatch.setattr(evaluation.comm, "gather", lambda _: gathered)
    assert parts[0].evaluate() == expected


def test_short_videos_are_told_once_with_their_number(folder, messages):
    cfg = config(*USED, "INPUT.VIDEO.STRIDE", 6)  # a clip of 24 frames
    check_data(cfg, train=True, allow_bad=False)
    told = [line for line in messages() if "shorter than a clip" in line]
    assert len(told) == 1
    assert "3 of 4 videos" in told[0]


def test_scores_that_are_not_finite_count_as_wrong(folder, messages):
    evaluator = VideoEvaluator("clips", config())
    for k in range(2):
        sample = {"video_id": str(k), "label": 0, "file_name": str(k)}
        score(evaluator, sample, *((0.9, 0.05, 0.05) if k else (float("nan"),) * 3))
    assert evaluator.evaluate()["video"]["top1"] == 50
    assert any("1 of 2 videos have scores that are not finite" in line for line in messages())


def test_clips_of_large_frames_are_read_one_by_one(folder, monkeypatch):
    record = DatasetCatalog.get("clips")[0]
    cfg = config(*USED)
    at_once = VideoMapper(cfg, is_train=False)(record)["video"]
    monkeypatch.setattr("nonlocal_det.video.mapper.MAX_BYTES", 1)
    mapper = VideoMapper(cfg, is_train=False)
    read, asked = mapper.read, []
    monkeypatch.setattr(mapper, "read", lambda path, f: asked.append(list(f)) or read(path, f))
    assert torch.equal(mapper(record)["video"], at_once)
    assert [len(frames) for frames in asked] == [4, 4]


def test_a_mapper_without_a_substitute_stays_strict():
    def mapper(record):
        raise OSError("gone")

    with pytest.raises(ValueError, match=r"a.png cannot be read .*out of the list \("):
        StrictMapper(mapper, allow_bad=True)({"file_name": "a.png"})
