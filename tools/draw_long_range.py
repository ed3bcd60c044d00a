"""Draw the long-range suite's figures: accuracy against distance, and each model's attention."""

from nonlocal_det.cli.draw_long_range import main

if __name__ == "__main__":
    main()
