"""A small Faster R-CNN for the drawn long-range data, whose backbone ends at res4.

The baseline: what it cannot see from a shape, it cannot know.
"""

from detectron2 import model_zoo
from detectron2.config import LazyCall as L
from detectron2.layers import ShapeSpec
from detectron2.modeling.backbone import ResNet

from nonlocal_det.engine.lazy import clipped_sgd, step_schedule
from nonlocal_det.modeling import fit_top_block

from ..common.data import dataloader
from ..common.train import optimizer, train

model = model_zoo.get_config("common/models/mask_rcnn_fpn.py").model
_fpn = model.backbone
_fpn.update(out_channels=48, norm="BN")
_fpn.bottom_up.update(
    stages=L(ResNet.make_default_stages)(depth=18, norm="BN"),
    out_features=["res2", "res3", "res4"],
    freeze_at=0,
)
_fpn.bottom_up.stem.norm = "BN"
model.backbone = L(fit_top_block)(fpn=_fpn)

_rpn = model.proposal_generator
_rpn.in_features = ["p2", "p3", "p4"]
_rpn.head.in_channels = 48
_rpn.anchor_generator.update(sizes=[[16], [24], [32]], strides=[4, 8, 16])
_rpn.update(pre_nms_topk=(200, 100), post_nms_topk=(100, 50), batch_size_per_image=64)

_heads = model.roi_heads
_heads.update(num_classes=2, batch_size_per_image=32, box_in_features=["p2", "p3", "p4"])
_heads.box_pooler.scales = (1 / 4, 1 / 8, 1 / 16)
_heads.box_head.update(input_shape=ShapeSpec(channels=48, height=7, width=7), fc_dims=[128, 128])
_heads.box_predictor.input_shape = ShapeSpec(channels=128)
for part in ("mask_in_features", "mask_pooler", "mask_head"):
    _heads.pop(part)

dataloader.train.dataset.names = "long_range_beacon_train"
dataloader.test.dataset.names = "long_range_beacon_test"
dataloader.train.update(total_batch_size=8, num_workers=0)
dataloader.test.num_workers = 0
dataloader.train.mapper.use_instance_mask = False
# the images as they were drawn
dataloader.train.mapper.augmentations[0].update(short_edge_length=(64,), max_size=320)
dataloader.test.mapper.augmentations[0].update(short_edge_length=64, max_size=320)

optimizer.update(_target_=clipped_sgd, lr=0.01, clip_norm=5.0)
lr_multiplier = step_schedule(1000, steps=(700, 900), warmup_iters=50)
train.update(max_iter=1000, seed=1, output_dir="output/lazy/long_range/beacon_R18")
train.checkpointer.period = 500
