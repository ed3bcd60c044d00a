"""A non-local model with its baseline's weights is its baseline, bit for bit, until it learns."""

import torch
from detectron2.modeling import build_model
from detectron2.structures import BitMasks, Boxes, Instances, Keypoints
from detectron2.utils.events import EventStorage

from nonlocal_det.layers import nonlocal_blocks


def images() -> list[dict]:
    generator = torch.Generator().manual_seed(3)
    sizes = [(96, 128), (112, 80)]  # the second is padded in the batch
    return [
        {
            "image": torch.randint(0, 255, (3, *s), generator=generator).float(),
            "height": s[0],
            "width": s[1],
        }
        for s in sizes
    ]


def with_truth(inputs: list[dict]) -> list[dict]:
    for one in inputs:
        height, width = one["image"].shape[1:]
        truth = Instances((height, width))
        truth.gt_boxes = Boxes(torch.tensor([[10.0, 10.0, 60.0, 70.0]]))
        truth.gt_classes = torch.tensor([0])
        masks = torch.zeros(1, height, width, dtype=torch.bool)
        masks[:, 10:70, 10:60] = True
        truth.gt_masks = BitMasks(masks)
        truth.gt_keypoints = Keypoints(torch.tensor([[[30.0, 40.0, 2.0]] * 17]))
        one["instances"] = truth
    return inputs


def detections(model: torch.nn.Module) -> list[dict[str, torch.Tensor]]:
    with torch.no_grad():
        outputs = model.eval()(images())
    found = []
    for output in outputs:
        fields = output["instances"].get_fields()
        fields["pred_boxes"] = fields["pred_boxes"].tensor
        found.append(fields)
    return found


def same(a: list[dict[str, torch.Tensor]], b: list[dict[str, torch.Tensor]]) -> bool:
    return all(
        one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
        for one, other in zip(a, b, strict=True)
    )


def built(cfg):
    torch.manual_seed(11)
    return build_model(cfg)


def backpropagate(model: torch.nn.Module) -> None:
    with EventStorage():
        sum(model.train()(with_truth(images())).values()).backward()


def calibrate(model: torch.nn.Module) -> None:
    """Give the batch norms the statistics of these images: random features stay of size 1."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the mean over all batches seen
    with EventStorage(), torch.no_grad():
        model.train()(with_truth(images()))


def test_twin_gives_the_baselines_detections_until_it_learns(twins):
    model, baseline = (built(cfg) for cfg in twins)
    calibrate(baseline)
    left = model.load_state_dict(baseline.state_dict(), strict=False)
    assert left.unexpected_keys == []
    assert left.missing_keys
    blocks = tuple(f"{name}." for name in nonlocal_blocks(model))
    assert len(blocks) == 5
    assert all(key.startswith(blocks) for key in left.missing_keys)

    expected = detections(baseline)
    assert {"pred_boxes", "scores", "pred_masks", "pred_keypoints"} <= expected[0].keys()
    assert all(len(one["scores"]) > 0 for one in expected)
    assert same(detections(model), expected)

    weights = {key: value.clone() for key, value in baseline.state_dict().items()}
    optimizer = torch.optim.SGD(
        [p for block in nonlocal_blocks(model).values() for p in block.parameters()], lr=0.1
    )
    backpropagate(model)
    optimizer.step()
    model.load_state_dict(weights, strict=False)  # what training in BN mode has moved
    assert not same(detections(model), expected)


def test_twins_start_from_equal_weights_under_equal_seeds(twins):
    model, baseline = (built(cfg).state_dict() for cfg in twins)
    assert all(torch.equal(model[key], baseline[key]) for key in baseline)


def test_every_block_gets_a_gradient_from_the_losses(twins):
    model = built(twins[0])
    backpropagate(model)
    for name, block in nonlocal_blocks(model).items():
        assert block.w_z.weight.grad is not None, name
        assert block.w_z.weight.grad.abs().max() > 0, name
