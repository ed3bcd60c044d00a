"""Top-k accuracy and mean average precision of scored videos."""

import numpy as np


def top_k_correct(scores: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Say of each video whether its class is among the k best; ties count against the model.

    Args:
        scores: (N, K); a video with a score that is not finite is wrong.
        labels: (N,), the class of each video.
        k: how many classes may be named.

    Returns:
        bool (N,).
    """
    true = scores[np.arange(len(labels)), labels]
    rank = (scores >= true[:, None]).sum(axis=1)  # 1 for the best, without a tie
    correct: np.ndarray = np.isfinite(scores).all(axis=1) & (rank <= k)
    return correct


def mean_class_accuracy(correct: np.ndarray, labels: np.ndarray) -> float:
    """Average the accuracy of each class over the classes that have videos.

    Args:
        correct: bool (N,).
        labels: (N,).
    """
    return float(np.mean([correct[labels == label].mean() for label in np.unique(labels)]))


def average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """Compute the average precision of one class: the mean precision at each positive's rank.

    Args:
        scores: float64 (N,); equal ones keep their order. NaN (no score) ranks last.
        positive: bool (N,) with at least one True.
    """
    order = np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")
    hits = positive[order]
    precision = hits.cumsum() / np.arange(1, len(hits) + 1)
    return float(precision[hits].mean())


def average_precisions(
    scores: np.ndarray, targets: np.ndarray, *, unlabelled_last: bool = False
) -> np.ndarray:
    """Compute the average precision of every class; NaN for a class without a positive video.

    Args:
        scores: float64 logits or log-odds (N, K). A float32 sigmoid rounds to 1 above about 17,
            and the ties that come of it cost half of the result.
        targets: bool (N, K).
        unlabelled_last: rank videos without any class behind all others, as Charades' own script
            does.

    Returns:
        float64 (K,).
    """
    if unlabelled_last:
        scores = np.where(targets.any(axis=1, keepdims=True), scores, np.nan)
    return np.array(
        [
            average_precision(scores[:, k], targets[:, k]) if targets[:, k].any() else np.nan
            for k in range(targets.shape[1])
        ]
    )
