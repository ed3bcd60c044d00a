"""Draw the mini-COCO, train a small non-local Mask + Keypoint R-CNN, evaluate, write pictures."""

from nonlocal_det.cli.quickstart import main

if __name__ == "__main__":
    main()
