"""Whether there is a Detectron2 to extend, and what is registered with it."""

from importlib import import_module

from .install.installed import OLDEST, numbers

CURE = "run `python -m nonlocal_det install`"


def register_components(name: str) -> None:
    """Register every model and drawn data set with Detectron2, by importing its room.

    Args:
        name: of what was asked for, for the message.

    Raises:
        ImportError: there is no Detectron2 that can be extended; says how to get one.
    """
    problem = detectron2_problem()
    if problem:
        raise ImportError(f"{name}: {problem}")
    for room in ("detection", "video", "synthetic"):
        import_module(f"nonlocal_det.{room}")


def detectron2_problem() -> str:
    """Return what is wrong with the installed Detectron2; empty when it can be extended.

    A missing or broken Detectron2 does not stop ``import nonlocal_det``: its ``layers`` need torch
    alone, and its ``install`` is the cure.
    """
    try:
        import detectron2
    except (ImportError, AttributeError) as error:
        if getattr(error, "name", None) == "detectron2":
            return f"Detectron2 is not installed; {CURE}"
        return _broken(error)
    if numbers(detectron2.__version__) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return f"Detectron2 {detectron2.__version__} is too old, {oldest} is needed; {CURE}"
    try:
        import detectron2.data
        import detectron2.evaluation
        import detectron2.modeling  # noqa: F401
    except (ImportError, AttributeError) as error:  # AttributeError: Image.LINEAR, np.bool
        return _broken(error)
    return ""


def _broken(error: Exception) -> str:
    return f"Detectron2 cannot be imported ({type(error).__name__}: {error}); {CURE}"
