"""The LazyConfig twin of long_range/control_pose_short_R18_res2.yaml, call by call."""

from nonlocal_det.training.lazy import twin

dataloader, lr_multiplier, model, optimizer, train = twin("long_range/control_pose_short_R18_res2")
