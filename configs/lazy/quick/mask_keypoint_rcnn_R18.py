"""A small Mask + Keypoint R-CNN for the drawn mini-COCO: from scratch, minutes on two CPU cores."""

from detectron2 import model_zoo
from detectron2.config import LazyCall as L
from detectron2.layers import ShapeSpec
from detectron2.modeling.backbone import ResNet

from nonlocal_det.engine.lazy import clipped_sgd, step_schedule

from ..common.keypoint_data import dataloader
from ..common.train import optimizer, train

model = model_zoo.get_config("common/models/mask_rcnn_fpn.py").model
_keypoints = model_zoo.get_config("common/models/keypoint_rcnn_fpn.py").model.roi_heads

_fpn = model.backbone
_fpn.update(out_channels=64, norm="BN")  # the norm: learns in half the iterations
# a fresh network with FrozenBN diverges
_fpn.bottom_up.update(stages=L(ResNet.make_default_stages)(depth=18, norm="BN"), freeze_at=0)
_fpn.bottom_up.stem.norm = "BN"

_rpn = model.proposal_generator
_rpn.head.in_channels = 64
_rpn.anchor_generator.sizes = [[16], [32], [64], [96], [128]]
_rpn.update(pre_nms_topk=(200, 100), post_nms_topk=(100, 50), batch_size_per_image=64)

_heads = model.roi_heads
_heads.update(num_classes=1, batch_size_per_image=16)
_heads.box_head.update(input_shape=ShapeSpec(channels=64, height=7, width=7), fc_dims=[256, 256])
_heads.box_predictor.update(input_shape=ShapeSpec(channels=256), smooth_l1_beta=0.5)
roi = ShapeSpec(channels=64, height=14, width=14)
_heads.mask_head.update(input_shape=roi, conv_dims=[32, 32, 32])
for part in ("keypoint_in_features", "keypoint_pooler", "keypoint_head"):
    _heads[part] = _keypoints[part]
_heads.keypoint_head.update(input_shape=roi, conv_dims=[64] * 8)

dataloader.train.dataset.names = "mini_coco_keypoints_train"
dataloader.test.dataset.names = "mini_coco_keypoints_val"
dataloader.train.update(total_batch_size=8, num_workers=0)
dataloader.test.num_workers = 0
dataloader.train.mapper.use_instance_mask = True
dataloader.train.mapper.augmentations[0].update(short_edge_length=(128,), max_size=192)
dataloader.test.mapper.augmentations[0].update(short_edge_length=128, max_size=192)

optimizer.update(_target_=clipped_sgd, lr=0.03, clip_norm=1.0)
lr_multiplier = step_schedule(400, steps=(290, 365), warmup_iters=50)
train.update(max_iter=400, seed=1, output_dir="output/lazy/quick/mask_keypoint_rcnn_R18")
train.checkpointer.period = 200
