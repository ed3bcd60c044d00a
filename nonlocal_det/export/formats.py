"""The formats a model is written in, and how each is run again: one writer, one reader each."""

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

from .check import Outputs, Runner
from .clips import ClipGraph
from .graph import DetectionGraph, portable_kernels

Graph = DetectionGraph | ClipGraph

OPSET = 17
"""Of ONNX: RoiAlign has Detectron2's alignment from 16 on; 17 is what most runtimes have."""


@dataclass(frozen=True)
class Format:
    """One way to write a model.

    Attributes:
        endings: of the file's name; the first is the usual one.
        write: a graph to a file, recorded with an example image (3, H, W) or clips.
        read: a file to what runs it; the graph is that of the model it was made of.
    """

    endings: tuple[str, ...]
    write: Callable[[Graph, Tensor, Path], None]
    read: Callable[[Path, Graph], Runner]


def _write_torchscript(graph: Graph, image: Tensor, path: Path) -> None:
    with _recording(graph):
        traced = torch.jit.trace(graph, graph.example(image), check_trace=False)
    more = {"outputs.json": json.dumps(graph.outputs), f"{KEY}.json": json.dumps(graph.names)}
    torch.jit.save(traced, str(path), _extra_files=more)


def _read_torchscript(path: Path, graph: Graph) -> Runner:
    names = {"outputs.json": ""}
    module = torch.jit.load(str(path), map_location=_device(graph), _extra_files=names)
    outputs = json.loads(names["outputs.json"])

    def run(image: Tensor, threshold: float) -> Outputs:
        with torch.no_grad():
            return dict(zip(outputs, module(*graph.example(image, threshold)), strict=True))

    return run


def _write_onnx(graph: Graph, image: Tensor, path: Path) -> None:
    _onnxruntime()  # a file that cannot be checked is not written
    with _recording(graph):
        torch.onnx.export(
            graph,
            graph.example(image),
            str(path),
            opset_version=OPSET,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_axes=graph.axes,
            dynamo=False,  # the newer exporter cannot keep the loop over the keypoints' boxes
        )
    import onnx

    content = onnx.load(str(path))
    onnx.helper.set_model_props(content, {KEY: json.dumps(graph.names)})
    onnx.save(content, str(path))


def _read_onnx(path: Path, graph: Graph) -> Runner:
    runtime = _onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(image: Tensor, threshold: float) -> Outputs:
        given = [one.cpu().numpy() for one in graph.example(image, threshold)]
        found = session.run(names, dict(zip(graph.inputs, given, strict=True)))
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


def _write_weights(graph: Graph, image: Tensor, path: Path) -> None:
    state = graph.model.state_dict()
    weights = {name: value.cpu().clone() for name, value in state.items()}
    write_weights(weights, path, {KEY: graph.names} if graph.names else None)


def _read_weights(path: Path, graph: Graph) -> Runner:
    model = copy.deepcopy(graph.model)
    for value in model.state_dict().values():
        value.zero_()  # nothing but the file can make it right again
    load_weights(model, path)
    return lambda image, threshold: graph.eager(model, image, threshold)


FORMATS = {
    "torchscript": Format((".ts", ".pt"), _write_torchscript, _read_torchscript),
    "onnx": Format((".onnx",), _write_onnx, _read_onnx),
    "weights": Format((".safetensors", ".pth"), _write_weights, _read_weights),
}


def _device(graph: Graph) -> torch.device:
    model: Any = graph.model
    device: torch.device = model.pixel_mean.device
    return device


@contextlib.contextmanager
def _recording(graph: Graph) -> Iterator[None]:
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
