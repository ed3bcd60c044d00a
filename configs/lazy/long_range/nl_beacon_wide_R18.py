"""The LazyConfig twin of long_range/nl_beacon_wide_R18.yaml, call by call."""

from nonlocal_det.training.lazy import twin

dataloader, lr_multiplier, model, optimizer, train = twin("long_range/nl_beacon_wide_R18")
