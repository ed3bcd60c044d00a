"""Draw clips, train a small non-local I3D from the video files, evaluate, write pictures."""

from nonlocal_det.cli.quickstart_video import main

if __name__ == "__main__":
    main()
