"""Training from LazyConfigs: twins of the YAML configs, and ``tools/lazyconfig_train_net.py``."""

from .solver import clipped_sgd, step_schedule
from .twin import Twin, twin

__all__ = ["Twin", "clipped_sgd", "step_schedule", "twin"]
