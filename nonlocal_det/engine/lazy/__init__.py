"""Training from LazyConfigs: ``tools/lazyconfig_train_net.py``, and calls for the configs."""

from .solver import clipped_sgd, step_schedule

__all__ = ["clipped_sgd", "step_schedule"]
