"""`python -m nonlocal_det.install`: for those who have the wheel and no tools/."""

from .detectron2 import main

if __name__ == "__main__":
    raise SystemExit(main(prog="python -m nonlocal_det.install"))
