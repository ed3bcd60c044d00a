"""The best classes of video files, over their frames and second by second."""

from nonlocal_det.cli.classify import main

if __name__ == "__main__":
    main()
