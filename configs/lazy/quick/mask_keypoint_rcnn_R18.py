"""A small Mask + Keypoint R-CNN for the drawn mini-COCO, as the YAML config of this name."""

import torch
from detectron2.config import get_cfg
from detectron2.data.detection_utils import create_keypoint_hflip_indices
from detectron2.layers import ShapeSpec
from detectron2.model_zoo import get_config
from detectron2.solver.build import maybe_add_gradient_clipping

from nonlocal_det.synthetic import register_mini_coco

from ..keypoint_rcnn_R50 import dataloader, lr_multiplier, model, optimizer, train

register_mini_coco()
_mask = get_config("common/models/mask_rcnn_fpn.py").model.roi_heads
_rois = ShapeSpec(channels=64, height=14, width=14)

model.backbone.bottom_up.freeze_at = 0
model.backbone.bottom_up.stem.norm = model.backbone.bottom_up.stages.norm = "BN"
model.backbone.bottom_up.stages.depth = 18
model.backbone.bottom_up.stages.pop("stride_in_1x1")  # of bottlenecks
model.backbone.out_channels = 64
model.backbone.norm = "BN"

model.proposal_generator.head.in_channels = 64
model.proposal_generator.anchor_generator.sizes = [[16], [32], [64], [96], [128]]
model.proposal_generator.batch_size_per_image = 64
model.proposal_generator.pre_nms_topk = (200, 100)
model.proposal_generator.post_nms_topk = (100, 50)

model.roi_heads.batch_size_per_image = 16
model.roi_heads.box_head.input_shape = ShapeSpec(channels=64, height=7, width=7)
model.roi_heads.box_head.fc_dims = [256, 256]
model.roi_heads.box_predictor.input_shape = ShapeSpec(channels=256)
_keypoint_head = model.roi_heads.pop("keypoint_head")  # the mask head is built before it
model.roi_heads.mask_in_features = _mask.mask_in_features
model.roi_heads.mask_pooler = _mask.mask_pooler
model.roi_heads.mask_head = _mask.mask_head
model.roi_heads.mask_head.input_shape = _rois
model.roi_heads.mask_head.conv_dims = [32, 32, 32]  # the last one is the deconvolution
model.roi_heads.keypoint_head = _keypoint_head
model.roi_heads.keypoint_head.input_shape = _rois
model.roi_heads.keypoint_head.conv_dims = [64] * 8

dataloader.train.dataset.names = "mini_coco_keypoints_train"
dataloader.train.mapper.augmentations[0].update(short_edge_length=(128,), max_size=192)
dataloader.train.mapper.use_instance_mask = True
dataloader.train.mapper.keypoint_hflip_indices = create_keypoint_hflip_indices(
    dataloader.train.dataset.names
)
dataloader.train.total_batch_size = 8
dataloader.train.num_workers = dataloader.test.num_workers = 0
dataloader.test.dataset.names = "mini_coco_keypoints_val"
dataloader.test.mapper.augmentations[0].update(short_edge_length=128, max_size=192)

_clip = get_cfg()
_clip.SOLVER.CLIP_GRADIENTS.update(ENABLED=True, CLIP_TYPE="norm", CLIP_VALUE=1.0)
optimizer._target_ = maybe_add_gradient_clipping(_clip, torch.optim.SGD)
optimizer.lr = 0.03
lr_multiplier.scheduler.milestones = [290, 365, 400]
lr_multiplier.warmup_length = 50 / 400

train.init_checkpoint = ""
train.max_iter = 400
train.checkpointer.period = 200
train.eval_period = 0
train.seed = 1
train.output_dir = "output/lazy/quick/mask_keypoint_rcnn_R18"
