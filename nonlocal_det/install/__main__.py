"""`python -m nonlocal_det.install`: for users of the wheel, who have no tools/."""

from .detectron2 import main

if __name__ == "__main__":
    raise SystemExit(main(prog="python -m nonlocal_det.install"))
