"""A small drawn data set without a fault, and ways to damage it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Json = dict[str, Any]
WIDTH, HEIGHT = 64, 48
NAMES = ["left", "right", "top"]


class GoodData:
    """Four images of three objects each, and a crowd in the first; polygons and keypoints."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "images"
        self.json_file = folder / "good.json"
        self.root.mkdir(parents=True)
        self.content: Json = {
            "images": [],
            "annotations": [],
            "categories": [
                {"id": k, "name": n, "keypoints": NAMES} for k, n in ((1, "a"), (2, "b"))
            ],
        }
        for number in range(1, 5):
            image = {"id": number, "file_name": f"{number}.png", "width": WIDTH, "height": HEIGHT}
            self.content["images"].append(image)
            self.draw(number).save(self.root / f"{number}.png")
            for k in range(3):
                x, y = 5 + 18 * k, 6 + 5 * k
                self.content["annotations"].append(_object(3 * number + k, number, 1 + k % 2, x, y))
        crowd = {"size": [HEIGHT, WIDTH], "counts": [20 * HEIGHT, 10, 44 * HEIGHT - 10]}
        last = {"id": 99, "image_id": 1, "category_id": 1, "iscrowd": 1, "area": 10}
        last |= {"bbox": [20, 0, 1, 10], "segmentation": crowd, "keypoints": [0] * 9}
        self.content["annotations"].append({**last, "num_keypoints": 0})

    @staticmethod
    def draw(seed: int, mode: str = "RGB") -> Image.Image:
        noise = np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        return Image.fromarray(noise).convert(mode)

    def write(self) -> tuple[Path, Path]:
        """Write the content as json; bytes as they are, and no file where it is None."""
        if isinstance(self.content, bytes):
            self.json_file.write_bytes(self.content)
        elif self.content is not None:
            self.json_file.write_text(json.dumps(self.content), encoding="utf-8")
        return self.json_file, self.root

    @property
    def one(self) -> Json:
        """The second object: an annotation to damage."""
        return self.content["annotations"][1]

    @property
    def image(self) -> Json:
        """The second image: a record to damage; its objects are 3 to 5."""
        return self.content["images"][1]

    @property
    def path(self) -> Path:
        """The second image's file."""
        return self.root / "2.png"

    def save_as(self, name: str, image: Image.Image, **options: Any) -> None:
        """Give the second image another file."""
        image.save(self.root / name, **options)
        self.image["file_name"] = name


def _object(number: int, image: int, category: int, x: int, y: int) -> Json:
    points = [x + 1, y + 2, 2, x + 8, y + 3, 1, 0, 0, 0]
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "iscrowd": 0,
        "bbox": [x, y, 12, 14],
        "area": 12 * 14,
        "segmentation": [[x, y, x + 12, y, x + 12, y + 14, x, y + 14]],
        "keypoints": points,
        "num_keypoints": 2,
    }


Damage = Callable[[GoodData], None]
