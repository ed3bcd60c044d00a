"""Run a training step that went wrong again: ``replay_batch.py output/nonfinite/batch_X.pth``."""

from nonlocal_det.cli.replay import main

if __name__ == "__main__":
    main()
