"""Train and evaluate: ``train_net.py --config-file configs/nl_mask_rcnn_R101.yaml``."""

from nonlocal_det.cli.train import main

if __name__ == "__main__":
    main()
