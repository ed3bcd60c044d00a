"""A suite's tables: ``reproduce.py --suite table5 --seeds 3``; see `nonlocal_det.cli.reproduce`."""

from nonlocal_det.cli.reproduce import main

if __name__ == "__main__":
    main()
