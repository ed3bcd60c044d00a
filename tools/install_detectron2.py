"""Finds or installs a working Detectron2 for the torch that is there.

Example:
    python tools/install_detectron2.py                  # the repository, else PyPI
    python tools/install_detectron2.py --source pypi    # the 0.6 release, without C++ operators
    python tools/install_detectron2.py --dry-run        # only say what it would do
"""

try:
    from nonlocal_det.install import main
except ModuleNotFoundError as error:
    if error.name != "nonlocal_det":
        raise
    raise SystemExit(
        "error: nonlocal_det is not installed in this Python. Cure: `pip install -e . --no-deps` "
        "first, or `python -m nonlocal_det install` from the checkout's root"
    ) from None

if __name__ == "__main__":
    raise SystemExit(main())
