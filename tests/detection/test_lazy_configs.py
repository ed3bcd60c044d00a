"""Each LazyConfig builds the model of the YAML config of its name, with the same numbers."""

from pathlib import Path

import pytest
import torch
from detectron2.config import LazyConfig, instantiate
from detectron2.modeling import build_model
from detectron2.solver import LRMultiplier, build_lr_scheduler, build_optimizer
from detectron2.utils.events import EventStorage
from omegaconf import OmegaConf
from shared_batch import batch

from nonlocal_det.configs import find_config, load_config
from nonlocal_det.layers import nonlocal_blocks

LAZY = Path(find_config("lazy/nl_mask_rcnn_R50.py")).parent
NAMES = sorted(path.relative_to(LAZY).with_suffix("").as_posix() for path in LAZY.rglob("*.py"))
QUICK = "quick/nl_mask_keypoint_rcnn_R18"


def lazy_config(name):
    return LazyConfig.load(find_config(f"lazy/{name}.py"))


def build_both(name, device, lazy=None):
    """Build a model from its LazyConfig and from its YAML config, under one seed."""
    models = []
    for build in (
        lambda: instantiate((lazy or lazy_config(name)).model),
        lambda: build_model(load_config(name, device=device)),
    ):
        torch.manual_seed(1)
        with torch.device(device):
            models.append(build().train())
    return models


@pytest.mark.parametrize("name", NAMES)
def test_it_has_the_class_and_the_tensors_of_the_yaml(name):
    lazy, yaml = build_both(name, "meta")
    assert type(lazy) is type(yaml)
    shapes = [[(key, x.shape) for key, x in model.state_dict().items()] for model in (lazy, yaml)]
    assert shapes[0] == shapes[1]
    assert [p.requires_grad for p in lazy.parameters()] == [
        p.requires_grad for p in yaml.parameters()
    ]


@pytest.mark.parametrize(
    "name",
    [
        *(QUICK, "quick/mask_keypoint_rcnn_R18"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in NAMES if "quick" not in name),
    ],
)
def test_it_has_the_first_weights_and_losses_of_the_yaml_bit_for_bit(name):
    lazy, yaml = build_both(name, "cpu")
    losses = []
    images = [{**image, "image": image["image"].float()} for image in batch()]
    for model in (lazy, yaml):
        torch.manual_seed(3)
        with EventStorage():
            losses.append({key: loss.item() for key, loss in model(images).items()})
    assert all(map(torch.equal, lazy.state_dict().values(), yaml.state_dict().values()))
    assert losses[0] == losses[1]
    assert len(losses[0]) >= 5


@pytest.mark.parametrize("name", ["nl_mask_rcnn_R50", "nl_keypoint_rcnn_R101", QUICK])
def test_it_has_the_data_and_the_solver_of_the_yaml(name):
    lazy, cfg = lazy_config(name), load_config(name)
    assert (lazy.dataloader.train.dataset.names,) == cfg.DATASETS.TRAIN
    assert (lazy.dataloader.test.dataset.names,) == cfg.DATASETS.TEST
    assert lazy.dataloader.train.total_batch_size == cfg.SOLVER.IMS_PER_BATCH
    for split, sizes, most in (
        ("train", cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.MAX_SIZE_TRAIN),
        ("test", cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST),
    ):
        resize = lazy.dataloader[split].mapper.augmentations[0]
        lengths = resize.short_edge_length
        assert (list(lengths) if OmegaConf.is_list(lengths) else lengths) == (
            list(sizes) if split == "train" else sizes
        )
        assert resize.max_size == most
    assert lazy.train.init_checkpoint == cfg.MODEL.WEIGHTS
    assert lazy.train.max_iter == cfg.SOLVER.MAX_ITER

    model = build_model(load_config(name, device="meta"))
    lazy.optimizer.params.model = model
    ours, theirs = instantiate(lazy.optimizer), build_optimizer(cfg, model)
    assert type(ours).__name__ == type(theirs).__name__  # clips gradients, or not
    multiplier = LRMultiplier(ours, instantiate(lazy.lr_multiplier), lazy.train.max_iter)
    assert isinstance(schedule := build_lr_scheduler(cfg, theirs), LRMultiplier)
    for one, other in zip(ours.param_groups, theirs.param_groups, strict=True):
        for key in ("initial_lr", "weight_decay", "momentum"):
            assert one[key] == other[key]
    for where in (0, 0.01, 0.1, 0.5, 0.7, 0.9, 0.99):
        iteration = int(where * cfg.SOLVER.MAX_ITER) / cfg.SOLVER.MAX_ITER
        assert multiplier._multiplier(iteration) == pytest.approx(schedule._multiplier(iteration))


def test_the_blocks_are_changed_at_one_place():
    lazy = lazy_config("nl_keypoint_rcnn_R50")
    options = ["model.backbone.after_blocks=[[],[0],[],[]]"]
    options += ["model.backbone.options.pairwise=dot_product"]
    options += ["model.roi_heads.keypoint_head.options.subsample=none"]
    LazyConfig.apply_overrides(lazy, options)
    with torch.device("meta"):
        blocks = nonlocal_blocks(instantiate(lazy.model))
    assert blocks["backbone.bottom_up.res3.nl0"].options.pairwise == "dot_product"
    assert blocks["roi_heads.keypoint_head.nl4"].options.subsample == "none"
    assert len(blocks) == 5


@pytest.mark.parametrize(
    ("override", "error", "message"),
    [
        ("model.backbone.options.norm=FrozenBN", ValueError, "norm='FrozenBN'"),
        ("model.backbone.backbone.bottom_up.freeze_at=4", ValueError, "res4 is frozen"),
        ("model.backbone.after_blocks=[[],[],[],[]]", ValueError, "AFTER_BLOCKS"),
        ("model.backbone.options.pairwize=gaussian", TypeError, "pairwize"),
    ],
)
def test_a_block_that_could_never_learn_and_an_unknown_key_are_refused(override, error, message):
    lazy = LazyConfig.apply_overrides(lazy_config(QUICK), [override])
    with pytest.raises(error, match=message):
        instantiate(lazy.model)
