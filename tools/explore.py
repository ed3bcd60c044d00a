"""A local web page: click a picture, and see where each non-local block looks from there."""

from nonlocal_det.cli.explore import main

if __name__ == "__main__":
    main()
