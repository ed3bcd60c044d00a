"""The stream of training images, against Detectron2's own loader, and from any point on."""

import random
from itertools import islice

import numpy as np
import pytest
import torch
from detectron2.config import CfgNode, get_cfg
from detectron2.data import DatasetCatalog, MetadataCatalog, build_detection_train_loader
from detectron2.data import build as d2_build
from detectron2.utils import comm
from torch.utils.data import Dataset

from nonlocal_det.data import TrainStream, build_test_loader, build_train_stream, seeded
from nonlocal_det.data.coco_data import forget
from nonlocal_det.data.seeding import seed_everything

SAMPLERS = ["TrainingSampler", "RepeatFactorTrainingSampler", "RandomSubsetTrainingSampler"]
if hasattr(d2_build, "_build_weighted_sampler"):  # main's
    SAMPLERS += ["WeightedTrainingSampler", "WeightedCategoryTrainingSampler"]
NAME = "thirteen_images"


def records() -> list[dict]:
    """13 images, 5 of them wide, category 1 rare."""
    return [
        {
            "image_id": number,
            "width": 9 if number % 3 == 1 else 5,
            "height": 7,
            "annotations": [{"category_id": int(number > 10)}],
        }
        for number in range(13)
    ]


def mapper(record: dict) -> dict:
    draws = (random.random(), float(np.random.rand()), torch.rand(1).item())
    return {**record, "draws": draws}


@pytest.fixture(autouse=True)
def catalogue():
    DatasetCatalog.register(NAME, records)
    yield
    forget(NAME)


@pytest.fixture
def become(monkeypatch):
    """Be one of several processes, without the others."""

    def be(rank: int, processes: int) -> None:
        monkeypatch.setattr(comm, "get_rank", lambda: rank)
        monkeypatch.setattr(comm, "get_world_size", lambda: processes)
        monkeypatch.setattr(comm, "all_gather", lambda data: [data] * processes)
        monkeypatch.setattr(d2_build, "get_world_size", lambda: processes)

    return be


def stream(*args, **kwargs) -> TrainStream:
    return build_train_stream(stream_config(*args, **kwargs), mapper)


def stream_config(
    sampler: str = "TrainingSampler", grouped: bool = False, workers: int = 0, batch: int = 4
) -> CfgNode:
    cfg = get_cfg()
    cfg.DATASETS.TRAIN = (NAME,)
    cfg.DATALOADER.SAMPLER_TRAIN = sampler
    cfg.DATALOADER.ASPECT_RATIO_GROUPING = grouped
    cfg.DATALOADER.NUM_WORKERS = workers
    cfg.DATALOADER.REPEAT_THRESHOLD = 0.6
    cfg.DATASETS.TRAIN_REPEAT_FACTOR = [[NAME, 1.5]]  # main's weighted samplers want it
    cfg.DATALOADER.RANDOM_SUBSET_RATIO = 0.7
    cfg.SOLVER.IMS_PER_BATCH = batch
    cfg.SEED = 5
    return cfg


def seen(batches) -> list[list[tuple]]:
    return [[(sample["image_id"], sample["draws"]) for sample in batch] for batch in batches]


def ids(batches) -> list[list[int]]:
    return [[sample["image_id"] for sample in batch] for batch in batches]


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize(("rank", "processes"), [(0, 1), (0, 2), (1, 2)])
def test_the_order_is_detectron2s(become, sampler, grouped, rank, processes):
    become(rank, processes)
    ours = stream(sampler, grouped)
    theirs = build_detection_train_loader(
        records(),
        mapper=mapper,
        sampler=ours._sampler(),
        total_batch_size=4,
        aspect_ratio_grouping=grouped,
        num_workers=0,
    )
    found = ids(islice(ours, 20))
    assert found == ids(islice(theirs, 20))
    assert {len(batch) for batch in found} == {4 // processes}
    ours.close()


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("grouped", [False, True])
def test_the_stream_goes_on_from_any_batch(sampler, grouped):
    whole = seen(islice(stream(sampler, grouped), 16))
    for at in range(16):
        later = stream(sampler, grouped)
        later.continue_from(5, at * 4)
        assert seen(islice(later, 16 - at)) == whole[at:]
    other = stream(sampler, grouped)
    other.continue_from(6, 0)
    assert ids(islice(other, 16)) != [[image for image, _ in batch] for batch in whole]


@pytest.mark.parametrize("grouped", [False, True])
def test_loading_processes_and_what_they_fetch_ahead_do_not_matter(grouped):
    whole = seen(islice(stream(grouped=grouped), 12))
    first = stream(grouped=grouped, workers=2)
    assert seen(islice(first, 5)) == whole[:5]
    assert first.images == 20  # what was given out, not what the processes have fetched
    first.close()
    second = stream(grouped=grouped, workers=3)
    second.continue_from(5, first.images)
    assert seen(islice(second, 7)) == whole[5:]
    second.close()


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_an_iterations_images_do_not_hang_on_the_number_of_processes(become, processes):
    alone = [sorted(batch) for batch in seen(islice(stream(), 9))]
    shares = []
    for rank in range(processes):
        become(rank, processes)
        later = stream()
        later.continue_from(5, 3 * 4)
        shares.append(seen(islice(later, 6)))
    together = [sorted(sum(share, [])) for share in zip(*shares, strict=True)]
    assert together == alone[3:]


def test_every_draw_has_chance_of_its_own():
    draws = [draw for batch in islice(stream(), 30) for sample in batch for draw in sample["draws"]]
    assert len(set(draws)) == len(draws)
    assert 0.4 < np.mean(draws) < 0.6


def test_loading_in_the_training_process_leaves_its_chance_alone():
    seed_everything(1, 2)
    expected = (random.random(), np.random.rand(), torch.rand(1).item())
    batches = iter(stream())
    seed_everything(1, 2)
    next(batches)
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == expected
    with pytest.raises(KeyError), seeded(3):
        raise KeyError
    after = random.random()
    assert after not in expected
    seed_everything(1, 3)
    assert random.random() not in (*expected, after)


def test_a_refused_image_is_replaced_by_the_same_one_every_time(caplog):
    def picky(record: dict) -> dict | None:
        return None if record["image_id"] < 6 else mapper(record)

    runs = []
    for start in (0, 8):
        one = stream()
        one.mapper = picky
        one.continue_from(5, start)
        runs.append(seen(islice(one, 6)))
    assert runs[0][2:] == runs[1][:4]
    assert all(image >= 6 for batch in runs[0] for image, _ in batch)
    assert "is replaced by another image" in caplog.text
    one = stream()
    one.mapper = lambda record: None
    with pytest.raises(ValueError, match="16 records in a row .*returned None"):
        next(iter(one))


def test_a_batch_that_cannot_be_shared_out_is_refused(become):
    become(0, 3)
    with pytest.raises(ValueError, match="SOLVER.IMS_PER_BATCH=4 .* 3 processes"):
        stream()


def test_data_that_is_no_list_gets_detectron2s_loader():
    class Torch(Dataset):
        def __len__(self) -> int:
            return 13

        def __getitem__(self, index: int) -> dict:
            return records()[index]

    DatasetCatalog.remove(NAME)
    DatasetCatalog.register(NAME, Torch)
    loader = stream()
    assert not isinstance(loader, TrainStream)
    assert len(next(iter(loader))) == 4


def test_records_without_a_size_are_not_grouped():
    sizeless = [{"image_id": number} for number in range(13)]
    cfg = stream_config(grouped=True)
    loader = TrainStream(cfg, sizeless, mapper)
    assert ids(islice(loader, 9)) == ids(islice(stream(grouped=False), 9))


@pytest.mark.parametrize("is_train", [True, False])
def test_a_data_sets_metadata_may_name_its_mapper(is_train):
    """The seam for records that are not images."""
    MetadataCatalog.get(NAME).build_mapper = lambda cfg, train: lambda one: {**one, "mapped": train}
    cfg = stream_config()
    loader = build_train_stream(cfg) if is_train else build_test_loader(cfg, NAME)
    assert next(iter(loader))[0]["mapped"] is is_train
