"""What a detector costs: parameters, multiply-adds and activation memory, per part."""

from nonlocal_det.cli.analyze import main

if __name__ == "__main__":
    main()
