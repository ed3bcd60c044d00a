"""The drawn mini-COCO's small Mask + Keypoint R-CNN, from scratch: minutes on two CPU cores."""

from detectron2.config import LazyCall as L
from detectron2.layers import ShapeSpec
from detectron2.model_zoo import get_config
from detectron2.modeling.backbone import ResNet
from fvcore.common.param_scheduler import MultiStepParamScheduler

from ..keypoint_rcnn_R50 import dataloader, lr_multiplier, model, optimizer, train

masks = get_config("common/models/mask_rcnn_fpn.py").model.roi_heads
model.backbone.bottom_up.stem.norm = "BN"
model.backbone.bottom_up.stages = L(ResNet.make_default_stages)(depth=18, norm="BN")
model.backbone.bottom_up.freeze_at = 0
model.backbone.out_channels = model.proposal_generator.head.in_channels = 64
model.backbone.norm = "BN"
model.proposal_generator.update(
    batch_size_per_image=64, pre_nms_topk=(200, 100), post_nms_topk=(100, 50)
)
model.proposal_generator.anchor_generator.sizes = [[16], [32], [64], [96], [128]]
heads = model.roi_heads
heads.batch_size_per_image = 16
heads.box_head.input_shape = ShapeSpec(channels=64, height=7, width=7)
heads.box_head.fc_dims = [256, 256]
heads.box_predictor.input_shape = ShapeSpec(channels=256)
features = ShapeSpec(channels=64, height=14, width=14)
heads.keypoint_head.update(input_shape=features, conv_dims=[64] * 8)
heads.update({key: masks[key] for key in ("mask_in_features", "mask_pooler", "mask_head")})
heads.mask_head.update(input_shape=features, conv_dims=[32, 32, 32])

dataloader.train.dataset.names = "mini_coco_keypoints_train"
dataloader.train.mapper.update(use_instance_mask=True)
dataloader.test.dataset.names = "mini_coco_keypoints_val"
for part in (dataloader.train, dataloader.test):
    part.num_workers = 0
    part.mapper.augmentations[0].max_size = 192
dataloader.train.mapper.augmentations[0].short_edge_length = (128,)
dataloader.test.mapper.augmentations[0].short_edge_length = 128
dataloader.train.total_batch_size = 8
lr_multiplier.scheduler = L(MultiStepParamScheduler)(
    values=[1.0, 0.1, 0.01], milestones=[290, 365, 400]
)
lr_multiplier.warmup_length = 50 / 400
optimizer.lr = 0.03
train.update(init_checkpoint="", max_iter=400, eval_period=0, device="cpu", seed=1)
train.output_dir = "output/lazy/quick/mask_keypoint_rcnn_R18"
train.clip_gradients = {"max_norm": 1.0}
