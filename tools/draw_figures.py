"""Draw the README's figure from the quickstart's checkpoint: ``make figures``."""

from nonlocal_det.cli.draw_figures import main

if __name__ == "__main__":
    main()
