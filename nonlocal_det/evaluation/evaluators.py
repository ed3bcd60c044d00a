"""Which evaluator a data set gets: the one registered for its metadata's ``evaluator_type``."""

import os
from collections.abc import Callable

from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from detectron2.evaluation import DatasetEvaluator
from detectron2.modeling import GeneralizedRCNNWithTTA
from torch import nn

Builder = Callable[[CfgNode, str, str], DatasetEvaluator]
"""From a config, the name of a data set and the folder for its results to the evaluator."""

_BUILDERS: dict[str, Builder] = {}


def register_evaluator(evaluator_type: str) -> Callable[[Builder], Builder]:
    """Register the decorated function for data sets of a type.

    Args:
        evaluator_type: as Detectron2's metadata has it, for example ``coco``.

    Raises:
        ValueError: the type is registered already.
    """

    def register(builder: Builder) -> Builder:
        if evaluator_type in _BUILDERS:
            raise ValueError(f"evaluator_type {evaluator_type!r} is registered already")
        _BUILDERS[evaluator_type] = builder
        return builder

    return register


def build_evaluator(
    cfg: CfgNode, dataset_name: str, output_folder: str | None = None
) -> DatasetEvaluator:
    """Build the evaluator that a data set's metadata asks for.

    Args:
        cfg: of the model.
        dataset_name: a registered data set.
        output_folder: where results go; by default ``OUTPUT_DIR/inference``.

    Raises:
        ValueError: no evaluator is registered for the data set's ``evaluator_type``.
    """
    evaluator_type = MetadataCatalog.get(dataset_name).get("evaluator_type", None)
    if evaluator_type not in _BUILDERS:
        raise ValueError(
            f"data set {dataset_name!r} has evaluator_type {evaluator_type!r}; expected one of "
            f"{', '.join(map(repr, _BUILDERS))}. Register its evaluator with "
            "nonlocal_det.evaluation.register_evaluator, or build it and pass it to Trainer.test"
        )
    folder = output_folder or os.path.join(cfg.OUTPUT_DIR, "inference")
    return _BUILDERS[evaluator_type](cfg, dataset_name, folder)


def augment_model(cfg: CfgNode, model: nn.Module) -> nn.Module:
    """Wrap a model for test-time augmentation (``TEST.AUG``).

    The metadata of the first of ``DATASETS.TEST`` may name ``augment_model``, a function as this;
    by default it is Detectron2's for R-CNNs.
    """
    metadata = MetadataCatalog.get(cfg.DATASETS.TEST[0])
    augmented: nn.Module = metadata.get("augment_model", GeneralizedRCNNWithTTA)(cfg, model)
    return augmented
