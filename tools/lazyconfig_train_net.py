"""Train from a LazyConfig: ``lazyconfig_train_net.py --config-file configs/lazy/NAME.py``."""

from nonlocal_det.cli.train_lazy import main

if __name__ == "__main__":
    main()
