"""Find what is wrong with COCO-format data, before a training does; see ``--help``."""

from nonlocal_det.cli.check import main

if __name__ == "__main__":
    main()
