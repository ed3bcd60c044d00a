"""Training and test data that have images in common, or other categories."""

from pathlib import Path

from good_data import GoodData

from nonlocal_det.data.check import Checked, check_dataset, check_splits


def compare(train: GoodData, test: GoodData) -> Checked:
    checked = check_dataset(*test.write())
    check_splits(check_dataset(*train.write()), checked)
    return checked


def other(folder: Path) -> GoodData:
    """The same names, other pictures."""
    data = GoodData(folder)
    for number in range(1, 5):
        data.draw(100 + number).save(data.root / f"{number}.png")
    return data


def test_equal_names_of_other_images_are_not_shared(tmp_path: Path) -> None:
    checked = compare(GoodData(tmp_path / "train"), other(tmp_path / "test"))
    assert checked.findings.by_kind == {}


def test_a_copy_of_an_image_is_shared(tmp_path: Path) -> None:
    train, test = GoodData(tmp_path / "train"), other(tmp_path / "test")
    (test.root / "2.png").write_bytes((train.root / "2.png").read_bytes())
    finding = compare(train, test).findings.by_kind["splits_share_images"]
    assert (finding.count, finding.images) == (1, {1})
    assert str(train.root / "2.png") in finding.examples[0].detail


def test_the_same_files_are_shared(tmp_path: Path) -> None:
    train, test = GoodData(tmp_path / "train"), other(tmp_path / "test")
    test.root = train.root
    assert compare(train, test).findings.by_kind["splits_share_images"].count == 4


def test_other_categories_are_told(tmp_path: Path) -> None:
    train, test = GoodData(tmp_path / "train"), other(tmp_path / "test")
    test.content["categories"][1]["name"] = "z"
    finding = compare(train, test).findings.by_kind["splits_differ_in_classes"]
    assert finding.count == 1
    assert "only there (2, 'b'); only here (2, 'z')" in finding.examples[0].detail


def test_the_order_of_the_names_decides_not_the_numbers(tmp_path: Path) -> None:
    train, test = GoodData(tmp_path / "train"), other(tmp_path / "test")
    for data, numbers in ((train, (2, 10)), (test, (0, 1))):  # as texts, 10 comes before 2
        for row in data.content["annotations"]:
            row["category_id"] = numbers[row["category_id"] - 1]
        for category, number in zip(data.content["categories"], numbers, strict=True):
            category["id"] = number
    assert "splits_differ_in_classes" not in compare(train, test).findings.by_kind
    test.content["categories"][0]["id"], test.content["categories"][1]["id"] = 1, 0
    assert "splits_differ_in_classes" in compare(train, test).findings.by_kind
