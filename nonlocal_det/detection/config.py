"""The config node ``MODEL.NONLOCAL``: the fields of `BlockOptions`, and where blocks go."""

from dataclasses import fields

from detectron2.config import CfgNode

from nonlocal_det.layers import BlockOptions


def add_nonlocal_config(cfg: CfgNode) -> None:
    """Add ``MODEL.NONLOCAL`` and ``TEST.MAX_DETS`` to a config, before anything is merged into it.

    The node changes no model by itself: the builders ``build_nonlocal_*`` and the keypoint head
    ``NonLocalKRCNNConvDeconvUpsampleHead`` read it when ``MODEL.BACKBONE.NAME`` and
    ``MODEL.ROI_KEYPOINT_HEAD.NAME`` choose them. Calling it twice is harmless.

    Args:
        cfg: a config of Detectron2, changed in place.
    """
    if "NONLOCAL" in cfg.MODEL:
        return
    node = cfg.MODEL.NONLOCAL = CfgNode()
    # After which residual blocks of res2, res3, res4, res5 a block goes; Python indices.
    # [-2] is "right before the last residual block of res4", the paper's COCO models.
    node.AFTER_BLOCKS = [[], [], [-2], []]
    # After which convolutions of the keypoint head a block goes, counted from 1
    node.KEYPOINT_AFTER_CONVS = [2, 4, 6, 8]
    # Gradient checkpointing of the backbone's stages, for memory: "", "stages" (each as a whole) or
    # "blocks" (each residual and non-local block by itself); the second forward pass costs time
    node.GRADIENT_CHECKPOINTING = ""
    # Detections counted per image and category by the evaluation of boxes and masks, COCO's number;
    # of keypoints COCO counts 20, and the evaluation as many as this if it is above 100
    cfg.TEST.MAX_DETS = 100
    for option in fields(BlockOptions):
        if "key" in option.metadata:
            node[_leaf(option.metadata["key"])] = option.metadata["config"]


def block_options(cfg: CfgNode) -> BlockOptions:
    """Read the description of the blocks from a config.

    Raises:
        ValueError: the node is missing, or a value that `BlockOptions` refuses, by its key.
    """
    if "NONLOCAL" not in cfg.MODEL:
        raise ValueError(
            "the config has no node MODEL.NONLOCAL; call nonlocal_det.add_nonlocal_config(cfg) "
            "right after get_cfg()"
        )
    keys = {f.name: f.metadata["key"] for f in fields(BlockOptions) if "key" in f.metadata}
    node = cfg.MODEL.NONLOCAL
    return BlockOptions(**{name: node[_leaf(key)] for name, key in keys.items()})


def _leaf(key: str) -> str:
    return key.rsplit(".", 1)[1]
