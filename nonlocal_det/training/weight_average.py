"""The exponential moving average of the weights: evaluated and saved beside them."""

import logging
from typing import Any

from detectron2.engine import HookBase
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from nonlocal_det.checkpoint import AVERAGED, SafeCheckpointer

logger = logging.getLogger("nonlocal_det")


class WeightAverage(HookBase):
    """Averages weights and buffers (a norm's running statistics) after each step.

    Torch's ``average = decay * average + (1 - decay) * weights``, which begins as the weights after
    the first step. It is in each checkpoint, so a resumed training continues it; the end of the
    training writes it as a model of its own, ``model_ema_final.pth``. Before the hooks that save.

    Args:
        model: not wrapped.
        decay: between 0 and 1, as 0.999.
        checkpointer: of the training, for folder and origin.

    Raises:
        ValueError: ``decay`` is not between 0 and 1.
    """

    def __init__(self, model: nn.Module, decay: float, checkpointer: SafeCheckpointer) -> None:
        if not 0 < decay < 1:
            raise ValueError(f"--ema {decay:g}: expected a number between 0 and 1, as 0.999")
        self.decay = decay
        self._source = model
        average = get_ema_multi_avg_fn(decay)
        self._averaged = AveragedModel(model, multi_avg_fn=average, use_buffers=True)
        self._checkpointer = SafeCheckpointer(
            self.model,
            checkpointer.save_dir,
            made_by=checkpointer.made_by,
            names=checkpointer.names,
        )
        self._loaded: float | None = None  # the decay of the checkpoint

    @property
    def model(self) -> nn.Module:
        """The model with the averages."""
        model: nn.Module = self._averaged.module
        return model

    def state_dict(self) -> dict[str, Any]:
        """Return the average and the number of steps in it."""
        return {"decay": self.decay, "average": self._averaged.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue an average."""
        self._averaged.load_state_dict(state["average"])
        self._loaded = state["decay"]

    def before_train(self) -> None:
        """Name what a resumed training does not continue."""
        start = self.trainer.start_iter
        if start == 0 or self._loaded == self.decay:
            return
        why = f"from iteration {start} --ema is {self.decay:g}, not {self._loaded or 'given'}"
        logger.warning(f"the resumed training is not exactly the one it resumes: {why}")
        self.trainer.exact_resume.inexact.append(why)

    def after_step(self) -> None:
        """Add the weights."""
        self._averaged.update_parameters(self._source)

    def after_train(self) -> None:
        """Write the average, unless the training has failed."""
        if self.trainer.iter + 1 >= self.trainer.max_iter:
            self._checkpointer.save(AVERAGED, iteration=self.trainer.max_iter - 1)
