"""Losses and gradients that are not finite: named, kept in a file, stopped or left out."""

import math

import pytest
import torch
from detectron2.engine import AMPTrainer
from tiny_step import Root, Run, batches, images, sgd, tiny_net

from nonlocal_det.checkpoint import read_torch
from nonlocal_det.training.step import NonFiniteError


def spoil(data):
    """Make one image so bright that it overflows in the stem, and is finite itself."""
    data[1]["image"] = data[1]["image"] * 3e38
    return data


def weights_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_unchanged(model, before):
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_loss_that_is_nan_names_loss_module_and_image(tmp_path):
    run = Run(tmp_path, [images(4), spoil(images(4, seed=7))]).steps(1)
    before = weights_of(run.model)
    with pytest.raises(NonFiniteError) as stop:
        run.steps(1)
    said = str(stop.value)
    assert said.startswith("iteration 1: loss_cls is nan, loss_size is ")
    assert "first in stem.0 (Conv2d): its output has" in said
    assert "alone it happens with 7_1.jpg;" in said
    assert "7_0.jpg" not in said
    assert f"nonlocal_det replay {tmp_path}/nonfinite/batch_0000001_process0.pth" in said
    assert "SOLVER.BASE_LR" in said
    assert "skip-10" in said
    assert_unchanged(run.model, before)
    assert isinstance(stop.value, FloatingPointError)  # as Detectron2's
    assert isinstance(stop.value, ValueError)  # one line from the command


def test_code_between_modules_is_named_by_its_parent(tmp_path):
    run = Run(tmp_path, batches(1))
    run.model.neck.broken = math.nan
    with pytest.raises(NonFiniteError, match=r"first in neck \(Scale\): its output has 512 nan of"):
        run.steps(1)
    run = Run(tmp_path, batches(1))
    forward = run.model.neck.forward
    run.model.stem.register_forward_hook(lambda _, __, made: made)  # hooks of others do not matter
    run.model.neck.forward = lambda x: forward(x)
    run.model.drop.register_forward_pre_hook(lambda _, given: (given[0] * math.inf,))
    with pytest.raises(
        NonFiniteError, match=r"first in the model \(TinyNet\), between its modules: drop"
    ):
        run.steps(1)


def test_every_image_is_named_where_no_single_one_is_at_fault(tmp_path):
    run = Run(tmp_path, batches(1))

    def coupled(_, given, made):
        return made * math.nan if len(made) > 1 else made

    run.model.neck.register_forward_hook(coupled)
    with pytest.raises(NonFiniteError, match=r"images: 0_0.jpg, 0_1.jpg, 0_2.jpg and 1 more"):
        run.steps(1)


def test_data_and_weights_that_are_not_finite_are_named_themselves(tmp_path):
    data = images(2)
    data[1]["image"][0, 0, 0] = math.nan
    with pytest.raises(NonFiniteError) as stop:
        Run(tmp_path, [data]).steps(1)
    assert "the data itself is: image of 0_1.jpg has 1 nan of 108 numbers" in str(stop.value)
    run = Run(tmp_path, batches(1))
    run.model.head.weight.data[0] = math.inf
    with pytest.raises(NonFiniteError, match="weights themselves are not finite: head.weight"):
        run.steps(1)


def test_a_gradient_that_is_infinite_names_its_module(tmp_path):
    run = Run(tmp_path, batches(1))
    run.model.root = Root()
    run.model.neck.broken = 0.0  # the root of 0: the loss is 0, its gradient infinite
    before = weights_of(run.model)
    with pytest.raises(NonFiniteError) as stop:
        run.steps(1)
    said = str(stop.value)
    assert "the losses are finite, but the gradients of stem.0.weight, stem.0.bias" in said
    assert "first in the backward pass of root (Root), in SqrtBackward0" in said
    assert_unchanged(run.model, before)
    assert read_torch(tmp_path / "nonfinite" / "batch_0000000_process0.pth")["gradients"] is True


def test_a_gradient_whose_square_overflows_is_finite(tmp_path):
    model = torch.nn.Linear(3, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    model.forward = lambda batch: {"loss": (model.weight * 1e30).sum()}
    Run(tmp_path, batches(1), model).steps(1)
    assert model.weight.tolist() == [pytest.approx([-1e29] * 3)]


def test_a_model_that_refuses_its_own_numbers_is_explained_too(tmp_path):
    """As Detectron2's RPN does before there is any loss."""
    run = Run(tmp_path, [spoil(images(2))])

    def refuse(_, given):
        if not torch.isfinite(given[0]).all():
            raise FloatingPointError("Predicted boxes or scores contain Inf/NaN.")

    run.model.head.register_forward_pre_hook(refuse)
    with pytest.raises(NonFiniteError) as stop:
        run.steps(1)
    assert "iteration 0: Predicted boxes or scores contain Inf/NaN; first in stem.0" in str(
        stop.value
    )


def test_looking_again_changes_nothing_that_is_drawn_later(tmp_path):
    """The step is looked at under the state it had, and the run goes on as if it were not."""
    states = []
    for data in ([images(4), spoil(images(4, 7)), images(4)], [images(4)] * 3):
        run = Run(tmp_path, data, skip=1)
        run.model.drop.p = 0.5
        seen = []
        run.model.drop.register_forward_pre_hook(
            lambda *_, seen=seen: seen.append(torch.get_rng_state())
        )
        torch.manual_seed(5)
        run.steps(3)
        states.append(seen)
    (first, second, *again, third), expected = states
    assert len(again) == 5  # the batch, and each of its images alone
    assert all(torch.equal(state, second) for state in again)
    for state, other in zip((first, second, third), expected, strict=True):
        assert torch.equal(state, other)
    assert not torch.equal(first, second)


def test_steps_are_left_out_up_to_a_limit_over_restarts(tmp_path, messages):
    data = [images(4), spoil(images(4, 1)), images(4, 2), spoil(images(4, 3)), spoil(images(4, 4))]
    model = tiny_net()
    model.stem.add_module("norm", torch.nn.BatchNorm2d(8))
    run = Run(tmp_path, data, model, skip=2).steps(1)
    before = weights_of(run.model)
    run.steps(1)
    assert_unchanged(run.model, before)  # running statistics too
    assert "left out, 1 of at most 2" in messages()[-1]
    assert all(parameter.grad is None for parameter in run.model.parameters())
    run.steps(1)
    assert not torch.equal(run.model.head.weight, before["head.weight"])
    run.steps(1)

    again = Run(tmp_path, data[4:], run.model, skip=2)
    again.guard.load_state_dict(run.guard.state_dict())
    with pytest.raises(NonFiniteError, match=r"\(2 such steps were left out before\)"):
        again.steps(1)


def test_weights_are_kept_with_the_first_step_that_fails_and_the_last(tmp_path):
    run = Run(tmp_path, [spoil(images(2, n)) for n in range(4)], skip=3)
    run.steps(3)
    with pytest.raises(NonFiniteError):
        run.steps(1)
    names = sorted(path.name for path in (tmp_path / "nonfinite").iterdir())
    assert names == [
        *(f"batch_000000{n}_process0.pth" for n in range(4)),
        "weights_0000000.pth",
        "weights_0000003.pth",
    ]
    kept = read_torch(tmp_path / "nonfinite" / "batch_0000002_process0.pth")
    assert (kept["weights"], kept["weights_iteration"]) == ("weights_0000000.pth", 0)


def test_only_the_part_that_fails_is_kept(tmp_path):
    with pytest.raises(NonFiniteError, match="0_1.jpg"):
        Run(tmp_path, [spoil(images(4))], accumulate=2).steps(1)
    kept = read_torch(tmp_path / "nonfinite" / "batch_0000000_process0.pth")
    assert [one["file_name"] for one in kept["batch"]] == ["0_0.jpg", "0_1.jpg"]
    assert kept["share"] == 0.5


def test_a_batch_that_cannot_be_saved_is_said_and_hides_nothing(tmp_path):
    data = spoil(images(2))
    data[0]["own"] = object()
    with pytest.raises(NonFiniteError) as stop:
        Run(tmp_path, [data]).steps(1)
    assert "could not be saved: it holds builtins.object" in str(stop.value)
    assert "first in stem.0" in str(stop.value)
    (tmp_path / "file").write_text("")
    with pytest.raises(NonFiniteError, match=r"could not be saved: .*Not a directory"):
        Run(tmp_path / "file", [spoil(images(2))]).steps(1)


def mixed(folder, data, scale):
    model = tiny_net()
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    trainer = AMPTrainer(model, data, sgd(model), grad_scaler=scaler)
    trainer.precision = torch.bfloat16
    return Run(folder, data, model, trainer=trainer), scaler


def test_what_the_scaler_leaves_out_is_no_error(tmp_path, messages):
    run, scaler = mixed(tmp_path, batches(3), scale=3e38)
    run.model.neck.broken = 1e4  # a large loss
    before = weights_of(run.model)
    run.steps(1)
    assert_unchanged(run.model, before)
    assert scaler.get_scale() == pytest.approx(1.5e38)
    assert run.history[0]["amp_skipped_steps"] == 1
    assert "the scaler leaves this step out" in messages()[-1]
    run.model.neck.broken, run.guard.limit = 1.0, 0
    run.steps(1)
    assert not torch.equal(run.model.head.weight, before["head.weight"])
    assert not (tmp_path / "nonfinite").exists()


def test_gradients_that_no_scale_makes_finite_are_an_error(tmp_path):
    run, scaler = mixed(tmp_path, batches(20), scale=2.0)
    run.model.root = Root()
    run.model.neck.broken = 0.0
    with pytest.raises(NonFiniteError, match=r"iteration 2: .*first in the backward pass of root"):
        run.steps(20)
    assert scaler.get_scale() < 1
    kept = read_torch(tmp_path / "nonfinite" / "batch_0000002_process0.pth")
    assert (kept["autocast"], kept["scale"]) == ("bfloat16", 0.25)
