"""A whole detector as LazyConfig nodes, under the paths that Detectron2's own LazyConfigs have."""

from detectron2.config import LazyCall
from detectron2.modeling import GeneralizedRCNN
from omegaconf import DictConfig

from nonlocal_det.detection.rcnn import NonLocalGeneralizedRCNN

from .backbone import backbone_node
from .heads import heads_node
from .proposals import proposal_node
from .reading import ReadConfig

_KINDS = {kind.__name__: kind for kind in (GeneralizedRCNN, NonLocalGeneralizedRCNN)}


def lazy_model(cfg: ReadConfig) -> DictConfig:
    """The calls that make the model of a config, each of which can be changed.

    Widths and numbers of classes stand once: ``model.roi_heads.num_classes=5`` changes all heads,
    ``model.backbone.out_channels=128`` all that see the FPN's maps. The order of the calls is that
    of Detectron2's builders, so that equal seeds give equal first weights.

    Args:
        cfg: a full config, as `add_nonlocal_config` has completed it.

    Raises:
        ValueError: a class or builder of which there is no LazyConfig form here.

    Example:
        >>> from detectron2.config import instantiate
        >>> from nonlocal_det import model_zoo
        >>> node = lazy_model(ReadConfig(model_zoo.get_config("quick/nl_mask_keypoint_rcnn_R18")))
        >>> node.roi_heads.num_classes = 5
        >>> instantiate(node).roi_heads.box_predictor.cls_score.out_features
        6
    """
    return LazyCall(cfg.MODEL.choose("META_ARCHITECTURE", _KINDS))(
        backbone=backbone_node(cfg),
        proposal_generator=proposal_node(cfg),
        roi_heads=heads_node(cfg),
        pixel_mean=cfg.MODEL.PIXEL_MEAN,
        pixel_std=cfg.MODEL.PIXEL_STD,
        input_format=cfg.INPUT.FORMAT,
        vis_period=cfg.VIS_PERIOD,
    )
