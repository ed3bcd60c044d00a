"""Train and evaluate: ``train_net.py --config-file configs/nl_mask_rcnn_R101.yaml``."""

from nonlocal_det.engine.train_net import train_net

if __name__ == "__main__":
    train_net()
