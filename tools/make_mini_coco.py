"""Make the drawn mini data set OUT/mini_coco, in COCO's own layout."""

from nonlocal_det.cli.make_mini_coco import main

if __name__ == "__main__":
    main()
