"""A model of the zoo, built; with its trained weights if they are wanted and there."""

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from detectron2.modeling import build_model
from detectron2.utils.file_io import PathManager
from torch import nn

from nonlocal_det.checkpoint import load_weights
from nonlocal_det.configs import load_config
from nonlocal_det.files import sha256_of

from .rows import Row, get_row

WEIGHTS_DIR = "NONLOCAL_DET_WEIGHTS"
"""The environment variable that names the folder of trained weights."""


def get(
    name: str,
    trained: bool = False,
    *,
    weights_dir: str | Path | None = None,
    device: str | None = None,
) -> nn.Module:
    """Build a model of the zoo.

    Args:
        name: of a packaged config, as ``"nl_mask_rcnn_R50"``.
        trained: load the weights of its row in zoo.json; else they are drawn anew.
        weights_dir: the folder where the weights are looked for by their name, before their URL;
            by default what the environment variable `WEIGHTS_DIR` names.
        device: a value of ``MODEL.DEVICE``; by default CUDA where there is a GPU, else the CPU.

    Returns:
        The model, in evaluation mode if ``trained``, else in training mode.

    Raises:
        FileNotFoundError: no such config, or no such weights; says how to train them.
        ValueError: the weights are others than the row's, or do not fit the model.
    """
    cfg = load_config(name, device=device or "")
    path = _find_weights(get_row(name), weights_dir) if trained else None
    model: nn.Module = build_model(cfg)
    if path is None:
        return model
    load_weights(model, path)
    return model.eval()


def build_config(config: str, overrides: Sequence[str] = (), *, device: str = "cpu") -> nn.Module:
    """Build the model of a config.

    Args:
        config: a path, or the name of a packaged config.
        overrides: KEY VALUE pairs merged into it.
        device: ``"meta"`` for names and shapes without memory.

    Raises:
        FileNotFoundError: no such config.
        ValueError: an override of no key, or of another type.
    """
    cfg = load_config(config, list(map(str, overrides)), device)
    with torch.device(device):
        model: nn.Module = build_model(cfg)
    return model


def _find_weights(row: Row, weights_dir: str | Path | None) -> Path:
    """The local file of a row's weights, its sha256 checked."""
    weights, name = row["weights"], row["config"]
    train = f"python -m nonlocal_det train --config-file {name} --num-gpus 8"
    if not weights:
        raise FileNotFoundError(
            f"the zoo has no trained weights of {name}; train them with `{train}` and evaluate "
            "with --eval-only MODEL.WEIGHTS output/model_final.pth"
        )
    folder = weights_dir or os.environ.get(WEIGHTS_DIR)
    path = Path(folder) / weights["name"] if folder else None
    if path is None or not path.is_file():
        cure = f"set {WEIGHTS_DIR} to the folder that has {weights['name']}, or train: `{train}`"
        if not weights.get("url"):
            raise FileNotFoundError(f"no {weights['name']} in {folder or 'weights_dir'}; {cure}")
        path = _download(weights["url"], cure)
    found = sha256_of(path)
    if found != weights["sha256"]:
        raise ValueError(
            f"{path} has sha256 {found}; the zoo's weights of {name} have {weights['sha256']}: "
            "another or a damaged file; delete it and fetch it again"
        )
    return path


def _download(url: str, otherwise: str) -> Path:
    try:
        return Path(PathManager.get_local_path(url))
    except OSError as error:
        raise FileNotFoundError(f"{url}: {error}; {otherwise}") from error
