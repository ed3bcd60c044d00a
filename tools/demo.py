"""What a model finds in pictures, a video or a camera, and where its blocks look."""

from nonlocal_det.cli.demo import main

if __name__ == "__main__":
    main()
