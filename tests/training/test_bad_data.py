"""What train_net does with bad data: refuses, leaves out, or skips as it goes."""

import json
import re
import shutil
from pathlib import Path

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from programs import TRAIN as TRAIN_NET
from programs import run_program
from small_models import small_config
from tiny_training import CONFIG, run

from nonlocal_det.cli.arguments import build_argument_parser, config_from_arguments
from nonlocal_det.data import build_train_stream, coco_file, register_coco_data
from nonlocal_det.synthetic.register import forget, register_mini_coco
from nonlocal_det.training import checks
from nonlocal_det.training.trainer import Trainer

OPTIONS = ["DATALOADER.NUM_WORKERS", "0", "INPUT.MIN_SIZE_TRAIN", "(64,)"]
TRAIN = "mini_coco_keypoints_train"


@pytest.fixture
def own_copy(mini_coco, tmp_path, monkeypatch):
    """A copy of the drawn data, to be damaged."""
    shutil.copytree(mini_coco, tmp_path / "datasets")
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path / "datasets"))
    register_mini_coco()
    return tmp_path / "datasets" / "mini_coco"


def json_of(folder: Path) -> Path:
    return folder / "annotations" / "person_keypoints_train2017.json"


def damage(folder: Path, **changes) -> dict:
    """Changes the second annotation; returns it."""
    content = json.loads(json_of(folder).read_text())
    content["annotations"][1].update(changes)
    json_of(folder).write_text(json.dumps(content))
    return content["annotations"][1]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def config(*options):
    return small_config(CONFIG, *OPTIONS, *options)


def test_bad_data_stops_a_training_before_it_starts(own_copy, tmp_path):
    one = damage(own_copy, bbox=[9, 9, -4, 4])
    with pytest.raises(ValueError, match="box_negative 1") as error:
        run(tmp_path / "out")
    message = str(error.value)
    for word in (TRAIN, f"annotation {one['id']}", "nonlocal_det check", "--allow-bad-data"):
        assert word in message
    assert not (tmp_path / "out" / "metrics.json").exists()


def test_allowed_bad_data_is_left_out_and_counted(own_copy, tmp_path, messages):
    one = damage(own_copy, bbox=[9, 9, -4, 4])
    first = sorted((own_copy / "train2017").iterdir())[0]
    first.unlink()
    before = len(DatasetCatalog.get(TRAIN))
    cfg = config("OUTPUT_DIR", str(tmp_path / "out"))
    checks.check_data(cfg, train=True, allow_bad=True)
    copy = tmp_path / "out" / "clean_data" / f"{TRAIN}.json"
    content = json.loads(copy.read_text())
    assert one["id"] not in {a["id"] for a in content["annotations"]}
    assert first.name not in {image["file_name"] for image in content["images"]}
    assert f"data set '{TRAIN}' without 1 images and" in "\n".join(messages())
    assert MetadataCatalog.get(TRAIN).json_file == str(copy)
    assert MetadataCatalog.get(TRAIN).keypoint_names
    assert len(DatasetCatalog.get(TRAIN)) == before - 1


def test_images_are_looked_for(own_copy):
    for path in (own_copy / "train2017").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="image_absent 8"):
        checks.check_data(config(), train=True)


def test_what_the_training_does_not_use_does_not_matter(own_copy):
    damage(own_copy, num_keypoints=3)
    with pytest.raises(ValueError, match="num_keypoints_wrong 1"):
        checks.check_data(config(), train=True)
    checks.check_data(config("MODEL.KEYPOINT_ON", False), train=True)
    assert coco_file._contents == {}  # the checked contents are not kept
    damage(own_copy, bbox=[9, 9, -4, 4])
    checks.check_data(config(), train=False)  # an evaluation needs good test data only


def test_an_id_of_0_matters_to_the_evaluation_alone(own_copy, tmp_path):
    damage(own_copy, id=0)
    checks.check_data(config(), train=True)
    cfg = config("DATASETS.TEST", (TRAIN,), "OUTPUT_DIR", str(tmp_path))
    with pytest.raises(ValueError, match="annotation_id_zero 1"):
        checks.check_data(cfg, train=True)
    checks.check_data(cfg, train=True, allow_bad=True)
    content = json.loads((tmp_path / "clean_data" / f"{TRAIN}.json").read_text())
    before = json.loads(json_of(own_copy).read_text())["annotations"]
    ids = [one["id"] for one in content["annotations"]]
    assert ids[1] == max(one["id"] for one in before) + 1
    assert len(ids) == len(before)


def test_a_data_sets_metadata_may_name_its_check(own_copy, messages):
    """The seam for data sets that are not COCO's."""
    calls = []
    for name in ("loaded", "checked"):
        DatasetCatalog.register(name, lambda: [])
    MetadataCatalog.get("loaded").set(thing_classes=["a"])
    MetadataCatalog.get("checked").check_data = lambda cfg, *args: calls.append(args)
    checks.check_data(config("DATASETS.TEST", ("loaded", "checked")), train=False)
    for name in ("loaded", "checked"):
        forget(name)
    assert any("'loaded': not checked" in message for message in messages())
    assert calls == [("checked", False, False)]


def test_own_bad_data_is_left_out_before_it_is_registered(own_copy, tmp_path):
    damage(own_copy, category_id=77)
    data = ["--coco-data", "own", str(json_of(own_copy)), str(own_copy / "train2017")]
    options = ["DATASETS.TRAIN", "('own',)", "DATASETS.TEST", "('own',)", "MODEL.DEVICE", "cpu"]

    def load(*more):
        words = ["--config-file", CONFIG, *data, *more, *options, "OUTPUT_DIR", str(tmp_path)]
        return config_from_arguments(build_argument_parser().parse_args(words))

    with pytest.raises(ValueError, match="category_id is 77"):
        load()
    cfg = load("--allow-bad-data")
    assert MetadataCatalog.get("own").json_file == str(tmp_path / "clean_data/own.json")
    assert cfg.MODEL.ROI_HEADS.NUM_CLASSES == 1
    forget("own")


def test_what_cannot_be_left_out_is_said(own_copy, tmp_path, messages):
    """The test data is the training data under another name."""
    json_file, images = json_of(own_copy), own_copy / "train2017"
    register_coco_data("same", json_file, images)
    cfg = config("DATASETS.TEST", ("same",), "OUTPUT_DIR", str(tmp_path))
    with pytest.raises(ValueError, match="splits_share_images 8"):
        checks.check_data(cfg, train=True)
    checks.check_data(cfg, train=True, allow_bad=True)
    forget("same")
    assert any("'same' is used as it is, with splits_share" in message for message in messages())
    assert list((tmp_path / "clean_data").iterdir()) == []


def test_data_read_by_a_function_of_its_own_cannot_be_left_out(own_copy, tmp_path):
    damage(own_copy, bbox=[9, 9, -4, 4])
    DatasetCatalog.register("custom", lambda: [])
    MetadataCatalog.get("custom").set(json_file=str(json_of(own_copy)))
    cfg = config("DATASETS.TRAIN", ("custom",), "OUTPUT_DIR", str(tmp_path))
    try:
        with pytest.raises(ValueError, match="box_negative 1"):
            checks.check_data(cfg, train=True)
        with pytest.raises(ValueError, match="'custom' is read by a function of yours.*--clean"):
            checks.check_data(cfg, train=True, allow_bad=True)
    finally:
        forget("custom")


@pytest.mark.slow
def test_bad_data_ends_all_processes_with_the_reason(own_copy, tmp_path):
    damage(own_copy, bbox=[9, 9, -4, 4])
    words = ["--num-gpus", "2", "--config-file", CONFIG, "OUTPUT_DIR", tmp_path / "out"]
    status, said = run_program(TRAIN_NET, *words, "MODEL.DEVICE", "cpu")
    assert status == 1
    assert said.count(f"data set '{TRAIN}' is bad (box_negative 1)") == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_image_is_skipped_named_and_counted(own_copy, workers, messages):
    bad = sorted((own_copy / "train2017").iterdir())[:2]
    for path in bad:
        truncate(path)
    loader = build_train_stream(config("DATALOADER.NUM_WORKERS", workers))
    loader.skipped.limit = 2
    batches = [batch for _, batch in zip(range(12), loader, strict=False)]
    names = [sample["file_name"] for batch in batches for sample in batch]
    assert not set(names) & set(map(str, bad))
    assert all(len(batch) == len(batches[0]) for batch in batches)
    assert set(loader.skipped.reasons) == set(map(str, bad))
    said = [message for message in messages() if message.startswith("skipped ")]
    assert len(said) == 2  # each once, though the epochs meet them again
    assert "1 such, at most 2" in said[0]
    assert "2 such, at most 2" in said[1]
    assert "truncated" in said[0]
    assert not any("skipped_images" in sample for batch in batches for sample in batch)


def test_too_many_unreadable_images_end_the_training(own_copy):
    for path in sorted((own_copy / "train2017").iterdir())[:3]:
        truncate(path)
    loader = build_train_stream(config())
    loader.skipped.limit = 2
    with pytest.raises(ValueError, match="3 files cannot be read, more than --max-bad-images 2"):
        for _ in zip(range(20), loader, strict=False):
            pass
    shutil.rmtree(own_copy / "train2017")
    with pytest.raises(ValueError, match="is the folder of the files still there"):
        next(iter(build_train_stream(config())))


def test_an_unreadable_image_ends_an_evaluation_with_its_name(own_copy):
    bad = sorted((own_copy / "val2017").iterdir())[3]
    truncate(bad)
    loader = Trainer.build_test_loader(config(), "mini_coco_keypoints_val")
    with pytest.raises(ValueError, match=f"{re.escape(str(bad))} cannot be read .*truncated"):
        list(loader)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_image_in_its_place_is_the_same_after_a_resume(own_copy, workers):
    for path in sorted((own_copy / "train2017").iterdir())[:4]:
        truncate(path)

    def taken(start, count):
        loader = build_train_stream(config("DATALOADER.NUM_WORKERS", workers))
        loader.continue_from(3, start * loader.batch_size)
        batches = [batch for batch, _ in zip(loader, range(count), strict=False)]
        loader.close()
        return [[sample["file_name"] for sample in batch] for batch in batches]

    assert taken(0, 9)[4:] == taken(4, 5)


def test_other_errors_of_the_mapper_are_not_hidden(own_copy):
    def read(record):
        raise KeyError("bbox")

    with pytest.raises(KeyError, match="bbox"):
        next(iter(build_train_stream(config(), read)))


def test_a_training_leaves_bad_data_out_and_skips_what_goes_bad_later(
    own_copy, tmp_path, monkeypatch
):
    damage(own_copy, bbox=[9, 9, -4, 4])
    check = checks.check_data

    def check_then_damage(cfg, *, train, allow_bad):
        check(cfg, train=train, allow_bad=allow_bad)
        for path in sorted((own_copy / "train2017").iterdir())[:7]:
            truncate(path)

    monkeypatch.setattr("nonlocal_det.training.train.check_data", check_then_damage)
    run(tmp_path / "out", "--allow-bad-data", iterations=1)
    assert (tmp_path / "out" / "result.json").is_file()
    assert (tmp_path / "out" / "clean_data" / f"{TRAIN}.json").is_file()
    monkeypatch.setattr("nonlocal_det.training.train.check_data", lambda *args, **kwargs: None)
    with pytest.raises(ValueError, match="more than --max-bad-images 0"):
        run(tmp_path / "again", "--max-bad-images=0")
