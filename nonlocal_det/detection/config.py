"""Every config key of this project, in one node: ``MODEL.NONLOCAL``. Nothing else is touched."""

from detectron2.config import CfgNode


def add_nonlocal_config(cfg: CfgNode) -> None:
    """Add the node ``MODEL.NONLOCAL`` to a config, before any file or option is merged into it.

    The node alone changes no model: the builders ``build_nonlocal_*`` and the keypoint head
    ``NonLocalKRCNNConvDeconvUpsampleHead`` read it when ``MODEL.BACKBONE.NAME`` and
    ``MODEL.ROI_KEYPOINT_HEAD.NAME`` choose them. Calling it twice is harmless.

    Args:
        cfg: a config of Detectron2, changed in place.
    """
    if "NONLOCAL" in cfg.MODEL:
        return
    node = cfg.MODEL.NONLOCAL = CfgNode()
    # "paper" (the text) or "authors_code"; decides what is left null below, and the initialisation
    node.PRESET = "paper"
    # After which residual blocks of res2, res3, res4, res5 a block goes; Python indices.
    # [-2] is "right before the last residual block of res4", the paper's COCO models.
    node.AFTER_BLOCKS = [[], [], [-2], []]
    # What a block computes: nonlocal; and what it is compared with: per_position (the same
    # parameters and multiply-adds, no reach), global_context (GCNet's, the same for every query)
    node.OPERATION = "nonlocal"
    # f(x_i, x_j): gaussian, embedded_gaussian, dot_product, concatenation
    node.PAIRWISE = "embedded_gaussian"
    # How it is computed, never what: auto, dense, sdpa, chunked, factored (dot_product),
    # sorted (concatenation)
    node.KERNEL = "auto"
    # 2x2 max pooling "after" phi and g, of x "before" them, "none"; null: as the preset says
    node.SUBSAMPLE = None
    # Multiply theta . phi by the inverse square root of its width; null: as the preset says
    node.SCALE = None
    # After w_z: "" (w_z starts at 0), BN, SyncBN, GN (their scale starts at 0).
    # "" is the authors' own recipe where the backbone's norm is frozen, as in detection.
    node.NORM = ""
    # Inner channels of theta, phi and g, as a share of the channels of x
    node.BOTTLENECK_RATIO = 0.5
    # After which convolutions of the keypoint head a block goes, counted from 1
    node.KEYPOINT_AFTER_CONVS = [2, 4, 6, 8]
