"""Metrics against hand-made cases and scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from nonlocal_det.evaluation.video_metrics import (
    average_precision,
    average_precisions,
    mean_class_accuracy,
    top_k_correct,
)
from nonlocal_det.video.classifier import mean_log_score


def test_top_k_by_hand():
    scores = np.array([[3.0, 2, 1], [1, 2, 3], [2, 2, 1], [np.nan, 0, 1], [5, 4, 4]])
    labels = np.array([0, 0, 0, 2, 1])
    assert top_k_correct(scores, labels, 1).tolist() == [True, False, False, False, False]
    assert top_k_correct(scores, labels, 2).tolist() == [True, False, True, False, False]
    assert top_k_correct(scores, labels, 3).tolist() == [True, True, True, False, True]


def test_a_rare_class_weighs_as_much_as_a_common_one():
    assert mean_class_accuracy(np.array([1, 1, 1, 0], bool), np.array([2, 2, 2, 5])) == 0.5


def test_average_precision_by_hand():
    positive = np.array([True, False, True, False])
    assert average_precision(np.array([4.0, 3, 2, 1]), positive) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.array([1.0, 1, 1, 1]), positive) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.array([np.nan, 3, 2, 1]), positive) == pytest.approx(
        (1 / 2 + 2 / 4) / 2  # no score: ranked last
    )


def test_average_precisions_are_scikit_learns():
    rng = np.random.default_rng(0)
    scores, targets = rng.normal(size=(200, 7)), rng.random((200, 7)) < 0.1
    targets[:, 3] = False
    ours = average_precisions(scores, targets)
    assert np.isnan(ours[3])  # scikit-learn would call it 0
    for k in (0, 1, 2, 4, 5, 6):
        assert ours[k] == pytest.approx(average_precision_score(targets[:, k], scores[:, k]))


def test_videos_without_a_label_can_rank_last():
    scores = np.array([[3.0], [2.0], [1.0]])
    targets = np.array([[False], [True], [False]])
    assert average_precisions(scores, targets) == 0.5
    assert average_precisions(scores, targets, unlabelled_last=True) == 1


def test_confident_scores_keep_their_order():
    logits = torch.tensor([[20.0], [30.0], [40.0], [50.0]], dtype=torch.float64)
    assert len(logits.float().sigmoid().unique()) < 4  # what a float32 sigmoid loses
    merged = mean_log_score(logits[:, None], "sigmoid", dim=1)
    assert torch.allclose(merged, logits)


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_means_are_of_probabilities(loss):
    logits = torch.randn(2, 3, 5, dtype=torch.float64)
    merged = mean_log_score(logits, loss, dim=1)
    if loss == "softmax":
        torch.testing.assert_close(merged.exp(), logits.softmax(-1).mean(1))
    else:
        torch.testing.assert_close(merged.sigmoid(), logits.sigmoid().mean(1))


def charades_map(confidence, truth):
    """Charades' own script, step by step: videos without a label rank last."""
    confidence = confidence.copy()
    confidence[truth.sum(1) == 0] = -np.inf
    precisions = []
    for k in range(truth.shape[1]):
        hits, found, precision = truth[np.argsort(-confidence[:, k], kind="stable"), k], 0, 0.0
        for rank, hit in enumerate(hits, 1):
            found += hit
            precision += hit * found / rank
        if hits.sum():
            precisions.append(precision / hits.sum())
    return np.mean(precisions)


def test_average_precisions_are_charades_own():
    rng = np.random.default_rng(1)
    scores, targets = rng.normal(size=(150, 9)), rng.random((150, 9)) < 0.15
    targets[:, 4] = False
    assert (targets.sum(1) == 0).any()
    ours = average_precisions(scores, targets, unlabelled_last=True)
    assert np.nanmean(ours) == pytest.approx(charades_map(scores, targets))
    assert np.nanmean(ours) != pytest.approx(np.nanmean(average_precisions(scores, targets)))
