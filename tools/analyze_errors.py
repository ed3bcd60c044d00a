"""Where the AP is lost: by size, by number of objects in the image, by kind of error."""

from nonlocal_det.cli.analyze_errors import main

if __name__ == "__main__":
    main()
