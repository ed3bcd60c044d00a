"""Every config has a lazy twin with the same tensors, losses, data and schedule."""

import copy
import math
from pathlib import Path

import pytest
import torch
from detectron2.config import LazyConfig, instantiate
from detectron2.modeling import build_model
from detectron2.solver import LRMultiplier, build_lr_scheduler, build_optimizer
from detectron2.structures import Boxes, Instances, Keypoints, PolygonMasks
from detectron2.utils.events import EventStorage

from nonlocal_det import model_zoo
from nonlocal_det.modeling import nonlocal_blocks
from nonlocal_det.modeling.insertion import InsertedBlock

NAMES = model_zoo.config_names()
SMALL = [name for name in NAMES if name.startswith(("quick/", "long_range/"))]


def yaml_model(name, device="cpu"):
    cfg = model_zoo.get_config(name)
    cfg.MODEL.DEVICE = device
    with torch.device(device):
        return build_model(cfg)


def lazy_model(name, device="cpu"):
    with torch.device(device):
        return instantiate(model_zoo.get_lazy_config(name).model)


def described(block: InsertedBlock) -> list[object]:
    return [type(block), str(block), block.gate.__class__]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_tensors_blocks_and_frozen_parts(name):
    ours, theirs = lazy_model(name, "meta"), yaml_model(name, "meta")
    assert type(ours) is type(theirs)
    shapes = [{n: v.shape for n, v in m.state_dict().items()} for m in (ours, theirs)]
    assert list(shapes[0]) == list(shapes[1])
    assert shapes[0] == shapes[1]
    learning = [[n for n, p in m.named_parameters() if p.requires_grad] for m in (ours, theirs)]
    assert learning[0] == learning[1]
    blocks = [nonlocal_blocks(m) for m in (ours, theirs)]
    assert list(blocks[0]) == list(blocks[1])
    for one, other in zip(blocks[0].values(), blocks[1].values(), strict=True):
        assert described(one) == described(other)


def batch(cfg, count=2, size=(64, 96)):
    """Images with two objects each, with all that the model asks for."""
    made = []
    for k in range(count):
        boxes = torch.tensor([[4.0, 6, 44, 58], [50, 10, 90, 60 - k]])
        instances = Instances(size, gt_boxes=Boxes(boxes), gt_classes=torch.zeros(2).long())
        if cfg.MODEL.MASK_ON:
            corners = [box[[0, 1, 2, 1, 2, 3, 0, 3]].numpy().astype("float64") for box in boxes]
            instances.gt_masks = PolygonMasks([[polygon] for polygon in corners])
        if cfg.MODEL.KEYPOINT_ON:
            points = torch.full((2, 17, 3), 2.0)
            points[..., :2] = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2 + torch.arange(17)[
                :, None
            ]
            instances.gt_keypoints = Keypoints(points)
        image = torch.randint(0, 255, (3, *size), dtype=torch.uint8)
        made.append({"image": image, "instances": instances})
    return made


def losses(model, data):
    """Of a first iteration, with the same random numbers for each model."""
    torch.manual_seed(3)
    with EventStorage():
        found = model.train()(copy.deepcopy(data))
    return {name: float(value) for name, value in found.items()}


def check_first_losses(name):
    torch.manual_seed(1)
    ours = lazy_model(name)
    torch.manual_seed(1)
    theirs = yaml_model(name)
    state = theirs.state_dict()
    assert all(torch.equal(value, state[n]) for n, value in ours.state_dict().items())
    data = batch(model_zoo.get_config(name))
    for block in nonlocal_blocks(ours).values():  # as if learnt: else they could not matter
        torch.nn.init.normal_(block.gate.weight, std=0.1)
    theirs.load_state_dict(ours.state_dict())
    found, expected = losses(ours, data), losses(theirs, data)
    assert all(math.isfinite(value) for value in expected.values())
    # the logits of a fresh R101 are so large that its softmax may be one-hot, and right
    assert sum(value > 0 for value in expected.values()) >= len(expected) - 1
    assert found == expected


@pytest.mark.parametrize("name", SMALL)
def test_the_same_first_weights_and_losses(name):
    check_first_losses(name)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["mask_rcnn_R50", "nl_mask_rcnn_R50", "nl_keypoint_rcnn_R50", "nl_keypoint_rcnn_R101"]
    + [name for name in NAMES if name.startswith("ablations/")],
)  # fmt: skip
def test_the_same_first_weights_and_losses_of_large_models(name):
    check_first_losses(name)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_training(name):
    lazy, cfg = model_zoo.get_lazy_config(name), model_zoo.get_config(name)
    layer = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    lazy.optimizer.params.model = layer
    ours, theirs = instantiate(lazy.optimizer), build_optimizer(cfg, layer)
    assert type(ours).__mro__[1:] == type(theirs).__mro__[1:]
    keys = ("lr", "momentum", "weight_decay", "nesterov")
    groups = [
        [(len(g["params"]), *(g[key] for key in keys)) for g in flat(one)] for one in (ours, theirs)
    ]
    assert groups[0] == groups[1]
    assert torch.equal(steps(layer, ours), steps(layer, theirs))
    most = cfg.SOLVER.MAX_ITER
    assert lazy.train.max_iter == most
    ours = LRMultiplier(ours, instantiate(lazy.lr_multiplier), most)
    theirs = build_lr_scheduler(cfg, theirs)
    after = [(step - 1, step) for step in (50, 1000, *cfg.SOLVER.STEPS) if step < most]
    for iteration in (0, 10, most - 1, *sum(after, ())):
        ours.last_epoch = theirs.last_epoch = iteration
        assert ours.get_lr() == pytest.approx(theirs.get_lr(), rel=1e-6)
    assert lazy.train.init_checkpoint == cfg.MODEL.WEIGHTS
    assert lazy.train.checkpointer.period == cfg.SOLVER.CHECKPOINT_PERIOD
    assert lazy.train.get("seed", -1) == cfg.SEED


def steps(layer, optimizer):
    """What a step with gradients beyond any clipping changes."""
    before = [parameter.detach().clone() for parameter in layer.parameters()]
    for parameter in layer.parameters():
        parameter.grad = torch.full_like(parameter, 100.0)
    optimizer.step()
    changes = []
    for parameter, old in zip(layer.parameters(), before, strict=True):
        changes.append((parameter.detach() - old).flatten())
        parameter.data.copy_(old)
    return torch.cat(changes)


def flat(optimizer):
    """A group for each parameter, whose settings some versions gather."""
    return [g | {"params": [p]} for g in optimizer.param_groups for p in g["params"]]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_data(name):
    lazy, cfg = model_zoo.get_lazy_config(name), model_zoo.get_config(name)
    assert set(lazy) == {"dataloader", "lr_multiplier", "model", "optimizer", "train"}
    train, test = lazy.dataloader.train, lazy.dataloader.test
    assert (train.dataset.names, test.dataset.names) == (
        cfg.DATASETS.TRAIN[0],
        cfg.DATASETS.TEST[0],
    )
    least = cfg.MODEL.ROI_KEYPOINT_HEAD.MIN_KEYPOINTS_PER_IMAGE if cfg.MODEL.KEYPOINT_ON else 0
    assert train.dataset.get("min_keypoints", 0) == least
    assert train.total_batch_size == cfg.SOLVER.IMS_PER_BATCH
    assert train.num_workers == test.num_workers == cfg.DATALOADER.NUM_WORKERS
    resize, flip = train.mapper.augmentations
    assert tuple(resize.short_edge_length) == tuple(cfg.INPUT.MIN_SIZE_TRAIN)
    assert resize.max_size == cfg.INPUT.MAX_SIZE_TRAIN
    assert flip.horizontal
    (resize,) = test.mapper.augmentations
    size = (resize.short_edge_length, resize.max_size)
    assert size == (cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST)
    assert train.mapper.use_instance_mask == cfg.MODEL.MASK_ON
    assert train.mapper.get("use_keypoint", False) == cfg.MODEL.KEYPOINT_ON
    assert train.mapper.image_format == test.mapper.image_format == cfg.INPUT.FORMAT
    if cfg.MODEL.KEYPOINT_ON:
        flips = instantiate(train.mapper.keypoint_hflip_indices)
        assert list(flips)[:3] == [0, 2, 1]


def test_a_lazy_config_is_found_by_path_and_name(tmp_path):
    expected = model_zoo.get_lazy_config_file("ablations/nl_mask_rcnn_R50_res3")
    assert Path(expected).is_file()
    for name in ("ablations/nl_mask_rcnn_R50_res3", "lazy/ablations/nl_mask_rcnn_R50_res3.py"):
        assert model_zoo.find_lazy_config(name) == expected
    assert model_zoo.find_lazy_config(expected) == expected
    with pytest.raises(FileNotFoundError, match="did you mean nl_mask_rcnn_R50"):
        model_zoo.find_lazy_config("configs/lazy/nl_mask_rcn_R50.py")
    with pytest.raises(ValueError, match="is a YAML config: train it with tools/train_net.py"):
        model_zoo.find_lazy_config("configs/nl_mask_rcnn_R50.yaml")


def test_a_lazy_model_can_be_changed():
    cfg = model_zoo.get_lazy_config("nl_mask_rcnn_R50")
    changes = ["model.backbone.bottom_up.after_blocks=[[],[0],[],[]]"]
    changes += ["model.backbone.bottom_up.block.pairwise=dot_product"]
    with torch.device("meta"):
        model = instantiate(LazyConfig.apply_overrides(cfg, changes).model)
    ((name, block),) = nonlocal_blocks(model).items()
    assert (name, block.pairwise) == ("backbone.bottom_up.res3.nl0", "dot_product")
