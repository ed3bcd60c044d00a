"""The formats a detector is written in, and how each is run again: one writer, one reader each."""

import contextlib
import copy
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nonlocal_det.checkpoint import load_weights, write_weights
from nonlocal_det.checkpoint.data_names import KEY

from .check import Outputs, Runner, eager_outputs
from .graph import DetectionGraph, portable_kernels

OPSET = 17
"""Of ONNX: RoiAlign has Detectron2's alignment from 16 on; 17 is what most runtimes have."""


@dataclass(frozen=True)
class Format:
    """One way to write a detector.

    Attributes:
        endings: of the file's name; the first is the usual one.
        write: a graph to a file, recorded with an example image (3, H, W).
        read: a file to what runs it; the graph is that of the model it was made of.
    """

    endings: tuple[str, ...]
    write: Callable[[DetectionGraph, Tensor, Path], None]
    read: Callable[[Path, DetectionGraph], Runner]


def _write_torchscript(graph: DetectionGraph, image: Tensor, path: Path) -> None:
    with _recording(graph):
        traced = torch.jit.trace(graph, _example(image), check_trace=False)
    more = {"outputs.json": json.dumps(graph.outputs), f"{KEY}.json": json.dumps(graph.names)}
    torch.jit.save(traced, str(path), _extra_files=more)


def _read_torchscript(path: Path, graph: DetectionGraph) -> Runner:
    names = {"outputs.json": ""}
    module = torch.jit.load(str(path), map_location=_device(graph), _extra_files=names)
    return _named(module, json.loads(names["outputs.json"]))


def _write_onnx(graph: DetectionGraph, image: Tensor, path: Path) -> None:
    axes = {"image": {1: "height", 2: "width"}, **{name: {0: "found"} for name in graph.outputs}}
    _onnxruntime()  # a file that cannot be checked is not written
    with _recording(graph):
        torch.onnx.export(
            graph,
            _example(image),
            str(path),
            opset_version=OPSET,
            input_names=["image", "threshold"],
            output_names=list(graph.outputs),
            dynamic_axes=axes,
            dynamo=False,  # the newer exporter cannot keep the loop over the keypoints' boxes
        )
    import onnx

    content = onnx.load(str(path))
    onnx.helper.set_model_props(content, {KEY: json.dumps(graph.names)})
    onnx.save(content, str(path))


def _read_onnx(path: Path, graph: DetectionGraph) -> Runner:
    runtime = _onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(image: Tensor, threshold: float) -> Outputs:
        given = _example(image.cpu(), threshold)
        found = session.run(names, {"image": given[0].numpy(), "threshold": given[1].cpu().numpy()})
        return {name: torch.as_tensor(one) for name, one in zip(names, found, strict=True)}

    return run


def _onnxruntime() -> Any:
    try:
        import onnx  # noqa: F401
        import onnxruntime
    except ImportError as error:
        raise ValueError(
            f"onnx: {error.name}, by which the file is written and checked, is not installed; "
            "pip install 'nonlocal_det[export]'"
        ) from error
    return onnxruntime


def _write_weights(graph: DetectionGraph, image: Tensor, path: Path) -> None:
    state = graph.model.state_dict()
    weights = {name: value.cpu().clone() for name, value in state.items()}
    write_weights(weights, path, {KEY: graph.names} if graph.names else None)


def _read_weights(path: Path, graph: DetectionGraph) -> Runner:
    model = copy.deepcopy(graph.model)
    for value in model.state_dict().values():
        value.zero_()  # nothing but the file can make it right again
    load_weights(model, path)
    return lambda image, threshold: eager_outputs(model, image, threshold)


FORMATS = {
    "torchscript": Format((".ts", ".pt"), _write_torchscript, _read_torchscript),
    "onnx": Format((".onnx",), _write_onnx, _read_onnx),
    "weights": Format((".safetensors", ".pth"), _write_weights, _read_weights),
}


def _example(image: Tensor, threshold: float = 0.0) -> tuple[Tensor, Tensor]:
    return image, torch.tensor(threshold, dtype=torch.float32, device=image.device)


def _named(module: Callable[..., tuple[Tensor, ...]], names: list[str]) -> Runner:
    def run(image: Tensor, threshold: float) -> Outputs:
        with torch.no_grad():
            return dict(zip(names, module(*_example(image, threshold)), strict=True))

    return run


def _device(graph: DetectionGraph) -> torch.device:
    model: Any = graph.model
    device: torch.device = model.pixel_mean.device
    return device


@contextlib.contextmanager
def _recording(graph: DetectionGraph) -> Iterator[None]:
    """While a graph is recorded: no gradients, portable kernels, and no advice to programmers."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with torch.no_grad(), portable_kernels(graph.model), warnings.catch_warnings():
        # sizes that become constants: the check finds them, with images of other sizes
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)
