"""A batch in parts: the same step as the whole batch, where no norm couples the images."""

import pytest
import torch
from detectron2.engine import AMPTrainer, SimpleTrainer
from detectron2.solver.build import maybe_add_gradient_clipping
from detectron2.utils.events import EventStorage
from small_models import small_config
from tiny_step import Run, batches, sgd, tiny_net

from nonlocal_det.training.options import TrainingOptions
from nonlocal_det.training.step.micro_batch import split_batch


def assert_same_weights(one, other, **tolerance):
    for (name, a), b in zip(one.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, **tolerance, msg=lambda text, n=name: f"{n}: {text}")


def test_whole_batches_give_detectron2s_own_steps_bit_for_bit(tmp_path):
    theirs = SimpleTrainer(tiny_net(), batches(4), sgd(model := tiny_net()))
    theirs.model = model
    model.train()
    told = []
    for iteration in range(4):
        with EventStorage(iteration) as storage:
            theirs.iter = iteration
            theirs.run_step()
        told.append({k: v for k, (v, _) in storage.latest().items() if "data_time" not in k})
    ours = Run(tmp_path, batches(4)).steps(4)
    assert_same_weights(ours.model, model, rtol=0, atol=0)
    for mine, other in zip(ours.history, told, strict=True):
        mine.pop("data_time")
        assert mine.keys() == other.keys()
        assert mine == pytest.approx(other, abs=1e-7)


@pytest.mark.parametrize(("size", "count"), [(4, 2), (4, 4), (5, 2), (5, 3)])
def test_parts_give_the_step_of_the_whole_batch(tmp_path, size, count):
    whole = Run(tmp_path, batches(3, size)).steps(3)
    parts = Run(tmp_path, batches(3, size), accumulate=count).steps(3)
    assert_same_weights(parts.model, whole.model, rtol=1e-5, atol=1e-6)
    for mine, other in zip(parts.history, whole.history, strict=True):
        del mine["data_time"], other["data_time"]
        assert mine == pytest.approx(other, rel=1e-5)
    assert not torch.equal(whole.model.head.weight, tiny_net().head.weight)


def test_clipping_sees_the_whole_batch_once(tmp_path):
    def clipped(model):
        options = ["SOLVER.CLIP_GRADIENTS.ENABLED", True, "SOLVER.CLIP_GRADIENTS.CLIP_TYPE", "norm"]
        options += ["SOLVER.CLIP_GRADIENTS.CLIP_VALUE", 1e-3]
        cfg = small_config("quick/nl_mask_keypoint_rcnn_R18", *options)
        return maybe_add_gradient_clipping(cfg, torch.optim.SGD)(model.parameters(), lr=1.0)

    one, other = tiny_net(), tiny_net()
    whole = Run(tmp_path, batches(2), one, clipped(one)).steps(2)
    parts = Run(tmp_path, batches(2), other, clipped(other), accumulate=4).steps(2)
    assert_same_weights(parts.model, whole.model, rtol=1e-5, atol=1e-7)
    moved = (parts.model.head.weight - tiny_net().head.weight).norm()
    assert 1e-4 < moved <= 2e-3  # two steps of at most CLIP_VALUE


def test_parts_in_mixed_precision_give_the_step_of_the_whole_batch(tmp_path):
    def mixed(data, **options):
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        model = tiny_net()
        trainer = AMPTrainer(model, data, sgd(model), grad_scaler=scaler)
        trainer.precision = torch.bfloat16  # the 0.6 release has no such argument
        return Run(tmp_path, data, model, trainer=trainer, **options)

    whole = mixed(batches(2)).steps(2)
    parts = mixed(batches(2), accumulate=2).steps(2)
    assert_same_weights(parts.model, whole.model, rtol=2e-2, atol=2e-3)  # bfloat16's digits
    full = Run(tmp_path, batches(2)).steps(2)
    assert_same_weights(parts.model, full.model, rtol=2e-2, atol=2e-2)
    assert not torch.equal(parts.model.head.weight, full.model.head.weight)


def test_a_batch_is_divided_in_order_and_nearly_equally():
    parts = split_batch(list("abcdefg"), 3)
    assert [part.data for part in parts] == [["a", "b"], ["c", "d"], ["e", "f", "g"]]
    assert sum(part.share for part in parts) == pytest.approx(1)
    assert parts[2].share == pytest.approx(3 / 7)
    anything = object()
    assert split_batch(anything, 1)[0].data is anything


def test_norms_over_the_batch_are_said_to_see_a_part(tmp_path, messages):
    model = tiny_net()
    Run(tmp_path, batches(1), model, accumulate=2)
    assert messages()[-1] == "each process's batch is computed in 2 parts"
    model.stem.add_module("norm", torch.nn.BatchNorm2d(8))
    model.stem.add_module("frozen", torch.nn.BatchNorm2d(8).eval())
    model.train = lambda: model  # Detectron2's trainer would wake the frozen one
    Run(tmp_path, batches(1), model, accumulate=2)
    assert messages()[-1].endswith("; its 1 batch norms see a part, not the batch")


def test_more_parts_than_images_are_refused(tmp_path):
    with pytest.raises(ValueError, match="--accumulate 5.* has 4 images.*IMS_PER_BATCH"):
        Run(tmp_path, batches(1), accumulate=5).steps(1)
    with pytest.raises(ValueError, match="--accumulate 0"):
        TrainingOptions(accumulate=0)


def test_a_proposal_network_in_parts_gives_the_gradients_of_the_whole_batch(tmp_path, mini_coco):
    """Detectron2's RPN, whose losses are means over images, on real annotations."""
    from detectron2.data import build_detection_train_loader
    from detectron2.modeling import build_model

    cfg = small_config(
        "quick/nl_mask_keypoint_rcnn_R18",
        *("MODEL.META_ARCHITECTURE", "ProposalNetwork"),
        *("MODEL.RESNETS.NORM", "GN", "MODEL.FPN.NORM", "GN"),  # no norm over the batch
        *("MODEL.RPN.BATCH_SIZE_PER_IMAGE", 4096, "SOLVER.IMS_PER_BATCH", 3),  # all anchors
        *("INPUT.MIN_SIZE_TRAIN", (64,), "DATALOADER.NUM_WORKERS", 0),
        *("DATALOADER.ASPECT_RATIO_GROUPING", False),
    )
    batch = next(iter(build_detection_train_loader(cfg)))
    for one in batch:  # to one size: what a batch is padded with changes its images a little
        height, width = one["image"].shape[-2:]
        one["image"] = torch.nn.functional.pad(one["image"], (0, 96 - width, 0, 96 - height))
    torch.manual_seed(1)
    gradients = []
    model = build_model(cfg)
    for count in (1, 3):
        run = Run(tmp_path, [batch], model, torch.optim.SGD(model.parameters(), lr=0.0))
        run.step.accumulate = count
        run.steps(1)
        gradients.append({n: p.grad.clone() for n, p in model.named_parameters()})
    whole, parts = (torch.cat([g.flatten() for g in each.values()]) for each in gradients)
    assert (parts - whole).norm() < 1e-5 * whole.norm()
    for name, gradient in gradients[0].items():  # the deepest layers round the most
        assert (gradients[1][name] - gradient).norm() <= 1e-4 * gradient.norm(), name
    assert gradients[0]["backbone.bottom_up.res4.nl0.w_z.weight"].any()
