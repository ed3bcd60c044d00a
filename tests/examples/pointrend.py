from detectron2 import model_zoo
from detectron2.config import get_cfg
from detectron2.modeling import build_model
from detectron2.projects import point_rend

from nonlocal_det import add_nonlocal_config

cfg = get_cfg()
point_rend.add_pointrend_config(cfg)
add_nonlocal_config(cfg)  # importing it has registered the components
base = "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.yaml"
cfg.merge_from_file(model_zoo.get_config_file(base))
cfg.MODEL.ROI_MASK_HEAD.NAME, cfg.MODEL.ROI_MASK_HEAD.POOLER_TYPE = "PointRendMaskHead", ""
cfg.MODEL.ROI_MASK_HEAD.POINT_HEAD_ON, cfg.INPUT.MASK_FORMAT = True, "bitmask"
cfg.MODEL.BACKBONE.NAME = "build_nonlocal_resnet_fpn_backbone"  # this line puts the block in
cfg.MODEL.META_ARCHITECTURE = "NonLocalGeneralizedRCNN"  # and this one hides the padding from it
cfg.MODEL.DEVICE = "cpu"
print(build_model(cfg).backbone.bottom_up.res4.nl4.pairwise)  # embedded_gaussian
