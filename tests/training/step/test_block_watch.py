"""What a block adds to its map is logged when metrics are; a block that adds nothing is named."""

import json
import math
from types import SimpleNamespace

import pytest
import torch
from detectron2.utils.events import EventStorage
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_training import run
from torch import nn

from nonlocal_det.layers import GlobalContextBlock, NonLocalBlock, PerPositionBlock
from nonlocal_det.layers.padding import Padding
from nonlocal_det.training.checks import check_blocks_learn
from nonlocal_det.training.step import BlockWatch


def awake(block):
    for parameter in block.zero_init_layer.parameters():
        nn.init.normal_(parameter, std=0.1)
    return block


def watched(watch, iteration, calls, max_iter=10_000):
    """One step in which the blocks are called as ``calls`` does; what it has put."""
    with EventStorage(iteration) as storage:
        watch.trainer = SimpleNamespace(iter=iteration, max_iter=max_iter, storage=storage)
        watch.before_step()
        with torch.no_grad():
            calls()
        watch.after_step()
    return {name: value for name, (value, _) in storage.latest().items()}


@pytest.mark.parametrize("sizes", [None, [(5, 6), (3, 4), (1, 1)]])
@pytest.mark.parametrize("options", [{}, {"pairwise": "gaussian"}, {"subsample": "none"}])
def test_spread_and_entropy_are_those_of_the_scores(options, sizes, messages):
    block, x = NonLocalBlock(16, norm="", **options), torch.randn(3, 16, 5, 6)
    if sizes:
        block.padding_of_batch = Padding(sizes, (5, 6))
    got = watched(BlockWatch({"nl": block}), 19, lambda: block(x))
    theta, phi, _, keys = (None if t is None else t.detach() for t in block.project(x))
    spreads, entropies = [], []
    for i, queries in enumerate(theta.double()):
        mask = torch.ones(len(phi[i])).bool() if keys is None else keys[i]
        if mask.sum() == 1:  # an image with a single key
            continue
        for at in torch.linspace(0, 29, 16).long().tolist():
            if sizes and (at // 6 >= sizes[i][0] or at % 6 >= sizes[i][1]):
                continue
            scores = phi[i][mask].double() @ queries[at]
            weights = scores.softmax(0)
            spreads.append(scores.std(correction=0))
            entropies.append(-(weights * weights.log()).sum() / math.log(len(scores)))
    mean = [float(torch.stack(values).mean()) for values in (spreads, entropies)]
    assert got["nl_score_spread/nl"] == pytest.approx(mean[0], rel=1e-4)
    assert got["nl_entropy/nl"] == pytest.approx(mean[1], rel=1e-4)
    assert messages()[-1].endswith(f"of the softmax: nl {mean[0]:.3g} / {mean[1]:.2f}")


@pytest.mark.parametrize("options", [{"over": "space"}, {"over": "time"}, {"window": 2}])
def test_a_query_is_compared_with_the_keys_of_its_own_group(options):
    block, x = NonLocalBlock(16, ndim=3, norm="", **options), torch.randn(2, 16, 5, 4, 6)
    got = watched(BlockWatch({"nl": block}), 19, lambda: block(x))
    at = torch.linspace(0, 119, 16).long().tolist()
    weights = block.rows(x).at(at).detach().flatten(2).double()
    entropies = [
        float(torch.special.entr(row).sum()) / math.log(int((row > 0).sum()))
        for row in weights.flatten(0, 1)
        if (row > 0).sum() > 1
    ]
    assert got["nl_entropy/nl"] == pytest.approx(sum(entropies) / len(entropies), rel=1e-4)


def test_a_one_hot_softmax_is_warned_of_once_with_the_key(messages):
    blocks = {"steep": NonLocalBlock(512, norm=""), "flat": NonLocalBlock(512, scale=True)}
    x, watch = 2 * torch.randn(2, 512, 6, 6), BlockWatch(blocks)
    for iteration in (19, 39):
        got = watched(watch, iteration, lambda: [block(x) for block in blocks.values()])
    assert got["nl_entropy/steep"] < 0.05 < 0.2 < got["nl_entropy/flat"]
    (warned,) = [text for text in messages() if "one-hot" in text]
    assert warned.startswith("iteration 20: the softmax is one-hot for nearly all queries (steep ")
    assert "flat" not in warned
    assert warned.endswith("set MODEL.NONLOCAL.SCALE True")


@pytest.mark.parametrize(
    ("names", "channels", "options", "warned"),
    [
        (("head.nl2", "head.nl4"), 256, {}, True),
        (("head.nl2", "res4.nl4"), 256, {}, False),
        (("head.nl2", "head.nl4"), 254, {}, False),
        (("head.nl2", "head.nl4"), 256, {"scale": True}, False),
        (("head.nl2", "head.nl4"), 256, {"norm": "BN"}, False),
        (("head.nl2", "head.nl4"), 256, {"pairwise": "dot_product"}, False),
    ],
)
def test_wide_blocks_in_a_row_without_scale_or_norm_are_warned_of(
    names, channels, options, warned, messages
):
    blocks = {name: NonLocalBlock(channels, **{"norm": "", **options}) for name in names}
    BlockWatch(blocks).before_train()
    said = [text for text in messages() if "MODEL.NONLOCAL.SCALE True" in text]
    assert len(said) == warned
    assert all(name in text for text in said for name in names)


def test_a_form_without_a_softmax_has_no_entropy():
    blocks = {p: NonLocalBlock(16, pairwise=p) for p in ("dot_product", "concatenation")}
    blocks |= {"control": PerPositionBlock(16), "context": GlobalContextBlock(16)}
    x = torch.randn(2, 16, 5, 6)
    got = watched(BlockWatch(blocks), 19, lambda: [block(x) for block in blocks.values()])
    assert set(got) == {f"nl_response/{name}" for name in blocks}


@pytest.mark.parametrize("kind", [NonLocalBlock, PerPositionBlock, GlobalContextBlock])
def test_every_operation_is_watched_over_all_calls_of_a_step(kind, messages):
    block, (a, b) = awake(kind(16)), torch.randn(2, 3, 16, 5, 6)
    got = watched(BlockWatch({"nl": block}), 19, lambda: (block(a), block(b), block(a[:0])))
    with torch.no_grad():
        added, base = torch.cat([block(a) - a, block(b) - b]), torch.cat([a, b])
    expected = added.norm() / base.norm()
    assert got["nl_response/nl"] == pytest.approx(float(expected), rel=1e-4)
    assert any(f"||w_z y|| / ||x||: nl {expected:.3g}" in message for message in messages())


def test_nothing_is_hooked_between_writings():
    block, x = NonLocalBlock(16), torch.randn(1, 16, 5, 6)
    watch, counts = BlockWatch({"nl": block}, period=20), []
    put = [
        watched(watch, i, lambda: (block(x), counts.append(len(block._forward_hooks))), 45)
        for i in range(45)
    ]
    assert [i for i, one in enumerate(put) if one] == [19, 39, 44]
    assert [i for i, count in enumerate(counts) if count] == [19, 39, 44]
    assert not block._forward_hooks


def test_a_head_without_a_region_has_no_ratio(messages):
    block = awake(NonLocalBlock(16))
    assert watched(BlockWatch({"nl": block}), 19, lambda: block(torch.zeros(0, 16, 5, 5))) == {}
    assert "no map was seen" in messages()[-1]


def test_a_block_that_does_nothing_is_warned_of_once(messages):
    dead, alive, x = NonLocalBlock(16), awake(NonLocalBlock(16)), torch.randn(1, 16, 5, 6)
    watch = BlockWatch({"dead": dead, "alive": alive})
    for iteration in (479, 499, 519):
        watched(watch, iteration, lambda: (dead(x), alive(x)))
    warned = {one for one in messages() if "adds exactly 0" in one}
    assert len(warned) == 1
    assert warned.pop().startswith("after 500 iterations dead still adds")


def test_a_training_writes_it_everywhere(mini_coco, tmp_path, messages):
    run(tmp_path, "DATASETS.TEST", "()", iterations=2)
    lines = [json.loads(line) for line in (tmp_path / "metrics.json").read_text().splitlines()]
    (last,) = [line for line in lines if "total_loss" in line]
    names = [name for name in last if name.startswith("nl_response/")]
    for group in ("nl_score_spread", "nl_entropy"):
        assert {name.split("/")[1] for name in last if name.startswith(group)} == {
            name.split("/")[1] for name in names
        }
    head = [f"nl_response/roi_heads.keypoint_head.nl{k}" for k in (2, 4, 6, 8)]
    assert "nl_response/backbone.bottom_up.res4.nl0" in names
    assert set(names) <= {"nl_response/backbone.bottom_up.res4.nl0", *head}
    assert last["nl_response/backbone.bottom_up.res4.nl0"] > 0
    events = EventAccumulator(str(tmp_path)).Reload()
    assert names[0] in events.Tags()["scalars"]
    assert any("||w_z y|| / ||x||: backbone" in one for one in messages())
    assert any("entropy of the softmax: backbone" in one for one in messages())


def sgd_of(module, **options):
    return torch.optim.SGD(module.parameters(), **{"lr": 0.1, **options})


def test_blocks_that_cannot_learn_are_refused():
    model = nn.ModuleDict({"a": NonLocalBlock(16), "b": NonLocalBlock(16, norm="GN")})
    check_blocks_learn(model, sgd_of(model))
    with pytest.raises(ValueError, match="b would stay the identity for ever: the weight"):
        check_blocks_learn(model, sgd_of(model["a"]))
    with pytest.raises(ValueError, match="SOLVER.BASE_LR above 0"):
        check_blocks_learn(model, sgd_of(model, lr=0.0))
    optimizer = sgd_of(model, lr=0.1)
    for group in optimizer.param_groups:  # as a warm-up from 0 leaves it before the first step
        group["initial_lr"], group["lr"] = 0.1, 0.0
    check_blocks_learn(model, optimizer)
    model["a"].norm.weight.requires_grad_(False)  # its shift alone is the same for every image
    with pytest.raises(ValueError, match="a would stay the identity"):
        check_blocks_learn(model, sgd_of(model))


@pytest.mark.parametrize(("norm", "other"), [("GN", "w_z"), ("BN", "w_z"), ("", "g")])
def test_a_block_in_which_two_layers_in_a_row_are_0_is_refused(norm, other):
    block = NonLocalBlock(16, norm=norm)
    model = nn.ModuleDict({"nl": block})
    for parameter in getattr(block, other).parameters():
        nn.init.zeros_(parameter)
    block(torch.randn(2, 16, 5, 6)).square().sum().backward()
    assert (
        not block.zero_init_layer.weight.grad.any()
    )  # its shift learns, but no position's response
    assert not getattr(block, other).weight.grad.any()
    with pytest.raises(ValueError, match=f"nl would stay the identity for ever: {other} is 0 too"):
        check_blocks_learn(model, sgd_of(model))
    block.reset_parameters()
    check_blocks_learn(model, sgd_of(model))


def test_a_trained_block_may_be_frozen():
    model = nn.ModuleDict({"nl": awake(NonLocalBlock(16)).freeze()})
    check_blocks_learn(model, torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1))


def test_the_command_refuses_a_model_that_cannot_learn(mini_coco, tmp_path):
    with pytest.raises(ValueError, match="would stay the identity for ever"):
        run(tmp_path, "SOLVER.BASE_LR", "0.0")
