"""Train from a LazyConfig: ``lazyconfig_train_net.py --config-file configs/lazy/NAME.py``."""

from nonlocal_det.training.lazy.train_net import lazy_train_net

if __name__ == "__main__":
    lazy_train_net()
