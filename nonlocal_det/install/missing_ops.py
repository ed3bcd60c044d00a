"""Stands in for Detectron2's C++ operators in a pure-Python build of it.

The installer copies this file into Detectron2 as `detectron2/utils/missing_ops.py`, so it imports
nothing. `import detectron2._C` goes on failing: what reports on the environment stays truthful.
"""

from typing import NoReturn

BUILD = (
    "python -m pip install --no-build-isolation "
    "'git+https://github.com/facebookresearch/detectron2.git'"
)
EVALUATION = (
    "InstanceAnnotation",
    "ImageEvaluation",
    "COCOevalEvaluateImages",
    "COCOevalAccumulate",
)


class MissingOperators:
    """Raises a helpful error on the first use of any operator."""

    def __getattr__(self, name: str) -> NoReturn:
        """Refuses the operator.

        Args:
            name: the operator's name in `detectron2._C`.

        Raises:
            AttributeError: for `__names__`, which only introspection (copy, inspect) asks for.
            RuntimeError: for an operator.
        """
        if name.startswith("__"):
            raise AttributeError(name)
        cure = f"build Detectron2 from its repository with a C++ compiler: {BUILD}"
        if name in EVALUATION:
            cure = (
                "evaluate with COCOEvaluator(..., use_fast_impl=False) or the evaluator of "
                f"nonlocal_det.evaluation, or {cure}"
            )
        raise RuntimeError(
            f"Detectron2's C++ operator {name!r} is missing: this Detectron2 is a pure-Python "
            f"build (pip calls it 0.6+purepython). Cure: {cure}"
        )


_C = MissingOperators()
