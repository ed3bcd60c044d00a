"""Where a model's blocks look over a data set: entropy, distance, mass, query independence."""

from nonlocal_det.cli.summarize_attention import main

if __name__ == "__main__":
    main()
