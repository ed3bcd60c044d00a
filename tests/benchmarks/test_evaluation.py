import pytest
from drawn_results import draw_evaluation
from evaluation import compare_with_pycocotools, main


def test_the_benchmark_measures_both_and_finds_them_equal():
    truth, results = draw_evaluation(10, 10, "bbox", num_categories=3)
    comparison = compare_with_pycocotools(truth, results, "bbox", rounds=2)
    assert len(comparison.seconds) == len(comparison.their_seconds) == 2
    assert comparison.stats == pytest.approx(comparison.their_stats, abs=1e-12)


def test_the_command_prints_the_times_and_names_bad_counts(capsys):
    main(["--task", "keypoints", "--images", "10", "--detections", "10"])
    assert capsys.readouterr().out.startswith("keypoints: 10 images, 100 detections, 1 round(s)\n")
    with pytest.raises(SystemExit):
        main(["--images", "0"])
    assert "--images 0" in capsys.readouterr().err


def test_the_same_arguments_draw_the_same_data():
    first = draw_evaluation(4, 5, "segm", seed=3)
    assert first == draw_evaluation(4, 5, "segm", seed=3)
    assert first != draw_evaluation(4, 5, "segm", seed=4)
    assert len(first[1]) == 20
