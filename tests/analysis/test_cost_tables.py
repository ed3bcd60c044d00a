from nonlocal_det.analysis import Cost, ModelCosts, Setting
from nonlocal_det.analysis.cost_tables import (
    caption,
    difference_table,
    parts_table,
    summary_table,
    verdict_table,
)


def report(name: str, blocks: int, unknown: dict[str, int]) -> ModelCosts:
    """A detector of 1 GMAC in its stem and `blocks` million multiply-adds of NL blocks in res4."""
    block = Cost(3_000_000, blocks * 10**6, 0, blocks * 2**20)
    parts = {"stem": Cost(2_000_000, 10**9, 5 * 10**8, 2**20, 2**19)}
    if blocks:
        parts["res4"] = block
    inside = {"backbone.res4.nl4": block} if blocks else {}
    setting = Setting(64, 96, 10, 5)
    return ModelCosts(name, "cpu", setting, setting, parts, inside, unknown)


BASE, NL = report("base", 0, {}), report("nl", 50, {"aten.qr.default": 2})


def test_a_part_a_row_then_the_total_and_the_blocks():
    assert list(parts_table(NL).rows) == [
        ("stem", "2.00", "1.00", "0.50", "1.0", "0.5"),
        ("res4", "3.00", "0.05", "0.00", "50.0", "0.0"),
        ("total", "5.00", "1.05", "0.50", "51.0", "0.5"),
        ("of it 1 NL block(s)", "3.00", "0.05", "0.00", "50.0", "0.0"),
    ]


def test_twins_stand_beside_each_other():
    rows = {row[0]: row[1:] for row in difference_table(NL, BASE).rows}
    assert rows["stem"][3:6] == ("1.00", "1.00", "+0.00")
    assert rows["res4"][:3] == ("3.00", "0.00", "+3.00")
    assert rows["total"][3:6] == ("1.05", "1.00", "+0.05 (+5.0%)")
    back = {row[0]: row[1:] for row in difference_table(BASE, NL).rows}
    assert back["total"][6:9] == ("1.0", "51.0", "-50.0 (-98.0%)")


def test_the_verdict_is_on_the_detector_without_blocks():
    reports = [BASE, NL, report("small", 49, {})]
    summed = [(r.name, r.inference, r.total, r.all_blocks) for r in reports]
    rows = list(summary_table(summed).rows)
    assert rows[0][4:7] == ("-", "-", "-")
    assert rows[1][4:7] == ("0.05", "5.00%", "no")  # 5 % is not less than 5 %
    assert rows[2][4:7] == ("0.05", "4.90%", "yes")
    choice = ("nl", "gaussian", "none")
    assert list(verdict_table([(choice, NL)]).rows) == [(*choice, "0.05", "5.00%", "no")]


def test_the_caption_says_what_was_counted_and_what_not():
    text = caption(NL)
    assert "64x96" in text
    assert "10 proposals and 5 detections" in text
    assert "Not counted: aten.qr.default, 2 times." in text
    assert "5.00% of multiply-adds" in text
    assert "60.0% of the parameters, 4.8% of the multiply-adds, 98.0% of what is saved" in text
    assert "NL blocks" not in caption(BASE)


def test_tables_are_text_or_markdown():
    lines = parts_table(BASE).render("markdown").splitlines()
    assert all(line.startswith("|") and line.count("|") == 7 for line in lines)
    assert "|" not in parts_table(BASE).render("text")
