"""Weights of other projects as ours, or ours in another format: convert_checkpoint.py IN OUT."""

from nonlocal_det.cli.convert import main

if __name__ == "__main__":
    main()
