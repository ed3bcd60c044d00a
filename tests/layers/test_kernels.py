"""Every kernel is the dense reference: values, both derivatives, masks, precision, every mode."""

import io
import json
from importlib import import_module
from pathlib import Path

import onnxruntime
import pytest
import torch
from block import parse_map

from nonlocal_det.layers import KERNELS, PAIRWISE, NonLocalBlock, response
from nonlocal_det.layers.kernels import Operands
from nonlocal_det.layers.kernels.auto import choose
from nonlocal_det.layers.kernels.chunked import chunked

SOFTMAX = ("gaussian", "embedded_gaussian")
FORMS = [(p, k) for p in PAIRWISE for k, (_, serves) in KERNELS.items() if p in serves]
EXACT = [form for form in FORMS if form[1] != "dense"]


def operands(pairwise, n=2, p=7, q=5, ci=4, cg=3, dtype=torch.float64, grad=False):
    cg = ci if pairwise == "embedded_gaussian" else cg  # fused attention wants equal widths
    tensors = [torch.randn(n, p, ci), torch.randn(n, q, ci), torch.randn(n, q, cg)]
    tensors.append(torch.randn(2 * ci))
    return [t.to(dtype).requires_grad_(grad) for t in tensors]


def compute(pairwise, kernel, theta, phi, g, w_f, **options):
    return response(theta, phi, g, pairwise=pairwise, kernel=kernel, w_f=w_f, **options)


def real_keys(n=2, q=5):
    mask = torch.ones(n, q, dtype=torch.bool)
    mask[0, 3:] = False
    mask[1, 0] = False
    return mask


@pytest.mark.parametrize(("pairwise", "kernel"), EXACT)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("size", [(7, 5), (1, 1), (3, 40), (40, 3)])
def test_values_and_gradients_equal_the_reference(pairwise, kernel, masked, size):
    p, q = size
    inputs = operands(pairwise, p=p, q=q, grad=True)
    mask = torch.rand(2, q) < 0.6 if masked else None
    if mask is not None:
        mask[:, 0] = True
    results = []
    for name in (kernel, "dense"):
        y = compute(pairwise, name, *inputs, key_mask=mask, scale=0.7)
        grads = torch.autograd.grad(y.square().sum(), inputs, allow_unused=True)
        results.append([y, *(g for g in grads if g is not None)])
    for actual, expected in zip(*results, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("pairwise", "kernel"), FORMS)
def test_gradcheck(pairwise, kernel):
    inputs = operands(pairwise, n=1, p=4, q=3, ci=2, cg=2, grad=True)
    assert torch.autograd.gradcheck(
        lambda *t: compute(pairwise, kernel, *t), inputs, raise_exception=True
    )


@pytest.mark.parametrize(("pairwise", "kernel"), FORMS)
@pytest.mark.parametrize(
    ("spread", "tolerance"),  # rounding: a weight's error is that of its score
    [(1e2, {torch.float64: 1e-13, torch.float32: 1e-4}),
     (1e4, {torch.float64: 1e-11, torch.float32: 1e-2}),
     (1e8, {torch.float64: 1e-9, torch.float32: 1e-2})],
)  # fmt: skip
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_one_hot_softmax_has_the_gradients_of_the_reference(
    pairwise, kernel, dtype, spread, tolerance
):
    p, q, ci = 24, 20, 16
    theta, phi, g, w_f = operands(pairwise, p=p, q=q, ci=ci, cg=ci)
    theta *= spread / ci**0.5
    assert torch.matmul(theta, phi.transpose(1, 2)).std() == pytest.approx(spread, rel=0.3)
    upstream, results = torch.randn(2, p, ci), []
    for name, kind in ((kernel, dtype), ("dense", torch.float64)):
        inputs = [t.to(kind).requires_grad_() for t in (theta, phi, g, w_f)]
        y = compute(pairwise, name, *inputs)
        grads = torch.autograd.grad((y * upstream).sum(), inputs, allow_unused=True)
        results.append([y, *(grad for grad in grads if grad is not None)])
    # the gradients of a one-hot softmax are 0 up to what they are sums of
    sizes = [0.0] * len(results[0])
    if pairwise in SOFTMAX:
        weights = compute(pairwise, "dense", theta, phi, torch.eye(q).double().expand(2, q, q), w_f)
        assert (weights.max(2).values > 0.99).double().mean() > 0.8
        products = torch.matmul(upstream.double(), g.transpose(1, 2)).abs().max()
        sizes = [0.0, products * phi.abs().max(), products * theta.abs().max(), 0.0]
    for actual, expected, size in zip(*results, sizes, strict=True):
        size = max(float(size), float(expected.detach().abs().max()))
        assert (actual.double() - expected).abs().max() <= tolerance[dtype] * size


@pytest.mark.parametrize("chunk", [5, 24])
def test_equal_scores_have_equal_weights_however_large_they_are(chunk):
    theta, phi, g, _ = operands("gaussian", n=1, p=24, q=4, dtype=torch.float32)
    theta, phi = (theta * 1e4).round(), phi.round().repeat(1, 3, 1)  # every key three times
    g = g.repeat(1, 3, 1)
    inputs = [t.requires_grad_() for t in (theta, phi, g)]
    results = []
    for y in (
        chunked(Operands(*inputs, "gaussian"), chunk),
        compute("gaussian", "dense", *inputs, None),
    ):
        results.append([y, torch.autograd.grad(y.square().sum(), g)[0]])
    for actual, expected in zip(*results, strict=True):
        torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize(("pairwise", "kernel"), FORMS)
def test_second_derivative_is_right_or_refused(pairwise, kernel):
    inputs = operands(pairwise, n=1, p=4, q=3, ci=2, cg=2, grad=True)

    def run():
        return torch.autograd.gradgradcheck(lambda *t: compute(pairwise, kernel, *t), inputs)

    refusal = {
        "chunked": "use kernel='dense'",
        "sdpa": "not implemented",
    }  # sdpa: torch's own words
    if kernel in refusal and pairwise in SOFTMAX:
        with pytest.raises(RuntimeError, match=refusal[kernel]):
            run()
    else:
        assert run()


@pytest.mark.parametrize(("pairwise", "kernel"), FORMS)
def test_a_masked_key_does_not_exist(pairwise, kernel):
    theta, phi, g, w_f = operands(pairwise, n=1)
    mask = torch.tensor([[True, True, False, True, False]])
    y = compute(pairwise, kernel, theta, phi, g, w_f, key_mask=mask)
    alone = compute(pairwise, kernel, theta, phi[:, mask[0]], g[:, mask[0]], w_f)
    torch.testing.assert_close(y, alone)
    other = phi.clone()
    other[:, 2] += 100.0
    assert torch.equal(compute(pairwise, kernel, theta, other, g, w_f, key_mask=mask), y)
    unmasked = compute(pairwise, kernel, theta, phi, g, w_f)
    assert (unmasked - y).abs().max() > 1e-3


@pytest.mark.parametrize(("pairwise", "kernel"), [f for f in FORMS if f[1] == "chunked"])
@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
def test_any_chunk_gives_the_same(pairwise, kernel, chunk):
    inputs = operands(pairwise, grad=True)
    theta, phi, g, w_f = inputs
    results = []
    for y in (
        compute(pairwise, "dense", *inputs, key_mask=real_keys(), scale=0.7),
        chunked(Operands(theta, phi, g, pairwise, 0.7, w_f, real_keys()), chunk),
    ):
        grads = torch.autograd.grad(y.square().sum(), inputs, allow_unused=True)
        results.append([y, *(grad for grad in grads if grad is not None)])
    for expected, actual in zip(*results, strict=True):
        torch.testing.assert_close(actual, expected)


def test_a_small_softmax_is_kept_and_a_large_one_is_not():
    for queries, kept in ((7, True), (3, False)):  # of 7
        theta, phi, g, _ = operands("gaussian", grad=True)
        saved = []
        keep = torch.autograd.graph.saved_tensors_hooks(
            lambda t, saved=saved: saved.append(tuple(t.shape)) or t, lambda t: t
        )
        with keep:
            chunked(Operands(theta, phi, g, "gaussian"), queries)
        assert ((2, 7, 5) in saved) == kept


@pytest.mark.parametrize("chunk", [4, 20])
def test_a_steep_softmax_has_no_denormal_weights_and_keeps_nan(chunk):
    theta, phi, g, w_f = operands("gaussian", n=1, p=20, q=12, ci=64, dtype=torch.float32)
    theta = theta * 3  # exponents down to about -100
    expected = compute("gaussian", "dense", theta, phi, g, w_f)
    assert (compute("gaussian", "dense", theta, phi, torch.eye(12)[None], w_f) < 1e-37).any()
    weights = chunked(Operands(theta, phi, torch.eye(12)[None], "gaussian"), chunk)
    assert not ((weights > 0) & (weights < torch.finfo(torch.float32).tiny)).any()
    torch.testing.assert_close(chunked(Operands(theta, phi, g, "gaussian"), chunk), expected)
    theta[0, 3] = torch.nan
    broken = chunked(Operands(theta, phi, g, "gaussian"), chunk)
    assert torch.equal(broken.isnan().all(2), torch.arange(20)[None] == 3)


def test_sorted_sums_keep_their_digits_on_long_inputs():
    inputs = operands("concatenation", n=1, p=64, q=16800, ci=8, cg=4)
    theta, phi, g, w_f = inputs
    theta, phi = theta * 100 + 50, phi * 100 + 50  # large terms that cancel
    expected = compute("concatenation", "dense", theta, phi, g, w_f)
    for enabled in (False, True):
        half = [t.float() for t in (theta, phi, g)]
        with torch.autocast("cpu", enabled=enabled):
            y = compute("concatenation", "sorted", *half, w_f.float())
        error = (y.double() - expected).norm() / expected.norm()
        assert error < 1e-5
        assert y.dtype == torch.float32


def test_running_sums_are_exact_where_those_of_float32_are_not():
    q = 2**14  # dividing by it rounds nothing
    theta = torch.randint(900, 1100, (1, 64, 1)).double()
    phi = -torch.randint(900, 1100, (1, q, 1)).double()
    g, w_f = torch.randint(0, 4001, (1, q, 3)).double(), torch.ones(2).double()
    expected = compute("concatenation", "dense", theta, phi, g, w_f).float()
    y = compute("concatenation", "sorted", theta.float(), phi.float(), g.float(), w_f.float())
    assert torch.equal(y, expected)


def test_factored_takes_the_order_that_costs_less():
    from torch.utils.flop_counter import FlopCounterMode

    for p, q, ci, cg in ((300, 200, 8, 8), (4, 5, 64, 64)):
        inputs = operands("dot_product", n=1, p=p, q=q, ci=ci, cg=cg, dtype=torch.float32)
        with FlopCounterMode(display=False) as counter:
            compute("dot_product", "factored", *inputs)
        multiply_adds = min((p + q) * ci * cg, p * q * (ci + cg))
        assert counter.get_total_flops() == 2 * multiply_adds


@pytest.mark.parametrize(
    ("pairwise", "p", "q", "dtype", "expected"),
    [
        ("dot_product", 4200, 4200, torch.float32, "factored"),
        ("concatenation", 4200, 4200, torch.float32, "sorted"),
        ("concatenation", 196, 49, torch.float32, "dense"),  # a region of the keypoint head
        ("embedded_gaussian", 4200, 1050, torch.float32, "chunked"),
        ("embedded_gaussian", 4200, 1050, torch.bfloat16, "sdpa"),
        ("embedded_gaussian", 16800, 16800, torch.float32, "sdpa"),
        ("gaussian", 16800, 16800, torch.float32, "chunked"),
        ("gaussian", 4200, 1050, torch.bfloat16, "chunked"),  # 1024 wide keys, 512 wide values
    ],
)
def test_auto_chooses_by_function_size_and_dtype(pairwise, p, q, dtype, expected):
    ci = 1024 if pairwise == "gaussian" else 512
    with torch.device("meta"):
        tensors = (torch.empty(1, *size, dtype=dtype) for size in ((p, ci), (q, ci), (q, 512)))
    assert choose(Operands(*tensors, pairwise)) == expected


def test_auto_is_near_the_fastest_of_a_measured_sweep():
    sweep = json.loads(Path(__file__).with_name("measured_kernels.json").read_text())
    groups = {}
    for row in sweep["rows"]:
        key = tuple(row[name] for name in ("function", "dtype", "map", "pass"))
        groups.setdefault(key, {})[row["kernel"]] = row["seconds"]
    assert len(groups) >= 30
    for (function, dtype, size, _), seconds in groups.items():
        sizes = parse_map(size)
        n, height, width, pooled = (
            sizes["batch"],
            sizes["height"],
            sizes["width"],
            sizes["subsample"],
        )
        p = height * width
        q = -(-height // 2) * -(-width // 2) if pooled == "after" else p
        # under autocast the un-embedded features stay in float32
        wide = torch.float32 if function == "gaussian" else getattr(torch, dtype)
        ci = 1024 if function == "gaussian" else 512
        with torch.device("meta"):
            theta, phi = torch.empty(n, p, ci, dtype=wide), torch.empty(n, q, ci, dtype=wide)
            g = torch.empty(n, q, 512, dtype=getattr(torch, dtype))
        chosen = choose(Operands(theta, phi, g, function))
        best = min(seconds[kernel] for kernel in KERNELS if kernel in seconds)
        assert seconds[chosen] <= 1.25 * best, (function, dtype, size, chosen)


def test_a_fused_path_is_taken_and_its_absence_is_said_once(caplog, monkeypatch):
    monkeypatch.setattr(import_module("nonlocal_det.layers.kernels.sdpa"), "_logged", set())
    theta, phi, g, _ = operands("embedded_gaussian", dtype=torch.float32)
    with torch.profiler.profile() as profile:
        compute("embedded_gaussian", "sdpa", theta, phi, g, None)
    assert any("flash_attention" in event.key for event in profile.key_averages())
    assert not caplog.records
    narrow = g[:, :, :3]
    for _ in range(2):
        compute("gaussian", "sdpa", theta, phi, narrow, None)
    assert [r.getMessage() for r in caplog.records] == [
        "kernel='sdpa': torch has no fused attention on cpu in float32 for keys of width 4 and "
        "values of width 3; kernel='chunked' computes the same numbers"
    ]


@pytest.mark.parametrize(("pairwise", "kernel"), FORMS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_features_of_300_stay_finite_in_half_precision(pairwise, kernel, dtype):
    theta, phi, g, w_f = operands(pairwise, n=1, p=20, q=12, ci=1024, cg=8, dtype=torch.float32)
    inputs = [(t * 300).to(dtype).requires_grad_() for t in (theta, phi, g)]
    y = compute(pairwise, kernel, *inputs, w_f)
    assert torch.isfinite(y).all()
    grads = torch.autograd.grad(y.float().mean() * 1e-6, inputs)
    assert all(torch.isfinite(grad).all() for grad in grads)


@pytest.mark.parametrize(("pairwise", "kernel"), FORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_block_compiles_without_a_graph_break(pairwise, kernel, dtype):
    block = NonLocalBlock(8, pairwise=pairwise, kernel=kernel, norm="")
    torch.nn.init.normal_(block.w_z.weight)
    compiled = torch.compile(block, fullgraph=True, backend="aot_eager")
    x, results = torch.randn(2, 8, 6, 5, requires_grad=True), []
    for run in (compiled, block):
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            z = run(x)
        results.append([z, torch.autograd.grad(z.square().sum(), x)[0]])
    rounding = 100 * torch.finfo(dtype).eps  # a compiled graph narrows elsewhere
    for actual, expected in zip(*results, strict=True):
        assert (actual - expected).norm() <= rounding * expected.norm()
    torch._dynamo.reset()


@pytest.mark.parametrize(("pairwise", "kernel"), FORMS)
def test_block_traces_to_torchscript(pairwise, kernel, tmp_path):
    block = NonLocalBlock(8, pairwise=pairwise, kernel=kernel, norm="").eval()
    torch.nn.init.normal_(block.w_z.weight)
    with torch.no_grad():
        traced = torch.jit.trace(block, torch.randn(2, 8, 6, 5), check_trace=False)
        traced.save(str(tmp_path / "block.pt"))
        loaded = torch.jit.load(str(tmp_path / "block.pt"))
        x = torch.randn(2, 8, 6, 5)
        torch.testing.assert_close(loaded(x), block(x))


@pytest.mark.parametrize(("pairwise", "kernel"), FORMS)
def test_deterministic_mode_is_served(pairwise, kernel):
    block = NonLocalBlock(8, pairwise=pairwise, kernel=kernel, norm="")
    x = torch.randn(2, 8, 6, 5, requires_grad=True)
    torch.use_deterministic_algorithms(True)
    try:
        block(x).sum().backward()
    finally:
        torch.use_deterministic_algorithms(False)
    assert x.grad is not None


def test_a_dtype_that_cannot_be_multiplied_is_torchs_error_with_the_kernel():
    theta = torch.randn(1, 3, 4).to(torch.float8_e4m3fn)
    with pytest.raises(
        NotImplementedError, match="not implemented for.*kernel='dense', torch.float8"
    ):
        response(theta, theta, theta, pairwise="dot_product", kernel="dense")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kernel": "factored"}, ["'factored' cannot serve", "'embedded_gaussian'", "chunked"]),
        ({"key_mask": torch.ones(2, 4, dtype=torch.bool)}, ["key_mask", "(2, 4)", "(2, 5)"]),
        ({"key_mask": torch.ones(2, 5)}, ["key_mask", "float32", "expected bool"]),
        ({"key_mask": torch.zeros(2, 5, dtype=torch.bool)}, ["without a key"]),
    ],
)
def test_what_cannot_be_computed_is_refused(change, words):
    theta, phi, g, w_f = operands("embedded_gaussian")
    options = {"kernel": "auto", **change}
    with pytest.raises(ValueError) as error:
        response(theta, phi, g, pairwise="embedded_gaussian", w_f=w_f, **options)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_dtypes_must_agree_and_a_chunk_holds_a_query():
    theta, phi, g, w_f = operands("dot_product")
    with pytest.raises(ValueError, match="dtypes torch.float64, torch.float32"):
        response(theta, phi.float(), g, pairwise="dot_product")
    with pytest.raises(ValueError, match="chunk=0"):
        chunked(Operands(theta, phi, g, "dot_product"), 0)


def test_a_large_concatenation_is_exported_as_onnx_without_a_sort():
    block = NonLocalBlock(4, pairwise="concatenation", norm="").eval()
    torch.nn.init.normal_(block.w_z.weight)
    x, file = torch.randn(1, 4, 64, 64), io.BytesIO()
    torch.onnx.export(block, (x,), file, dynamo=False, input_names=["x"])
    (z,) = onnxruntime.InferenceSession(file.getvalue()).run(None, {"x": x.numpy()})
    torch.testing.assert_close(torch.from_numpy(z), block(x).detach(), rtol=1e-4, atol=1e-5)
