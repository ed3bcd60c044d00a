"""Draw what the training loader feeds the model: augmented images, boxes, masks, keypoints."""

from nonlocal_det.cli.visualize_data import main

if __name__ == "__main__":
    main()
