"""Make a drawn data set OUT/long_range/NAME whose objects are told by what is far away."""

from nonlocal_det.cli.make_long_range import main

if __name__ == "__main__":
    main()
