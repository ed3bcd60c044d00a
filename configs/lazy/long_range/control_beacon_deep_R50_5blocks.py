"""The LazyConfig twin of long_range/control_beacon_deep_R50_5blocks.yaml, call by call."""

from nonlocal_det.training.lazy import twin

dataloader, lr_multiplier, model, optimizer, train = twin(
    "long_range/control_beacon_deep_R50_5blocks"
)
