"""One step of a training: Detectron2's, in parts if asked, with an eye on its numbers."""

import contextlib
import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import fmean
from typing import Any

import torch
from detectron2.engine import SimpleTrainer
from detectron2.utils import comm
from detectron2.utils.events import get_event_storage
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from .diagnosis import some
from .memory import MemoryAdvice
from .nonfinite import NonFiniteGuard, Problem, Step
from .norm_statistics import NormStatistics, moving_norms
from .options import StepOptions
from .parts import Part, split_batch
from .precision import add_losses, precision_of
from .random_state import RandomState
from .tensors import is_finite

logger = logging.getLogger("nonlocal_det")


def bare_model(model: nn.Module) -> nn.Module:
    """The model that `DistributedDataParallel` wraps, whose modules have their plain names."""
    return model.module if isinstance(model, DistributedDataParallel) else model


class TrainingStep:
    """Detectron2's step (of `SimpleTrainer` and `AMPTrainer`, of the 0.6 release and of main).

    What it adds: a batch in parts whose gradients add up; losses and gradients that are not finite
    are noticed before the weights are changed, by all processes alike, and go to the guard; running
    out of GPU memory is explained.

    While all is well a step costs what Detectron2's does: the losses are waited for before the
    backward pass instead of after it, and a norm of the gradients is taken.

    Args:
        trainer: Detectron2's inner one, which has model, data, optimizer and perhaps a scaler.
        options: parts, and how many steps may be left out.
        guard: what becomes of a step that fails.
        stop_flag: this process's signal to stop, a number; 0: none.

    Attributes:
        stop_asked: the signal that a process had when the processes last agreed; 0: none.

    Note:
        A model that refuses its own numbers does so in one process alone: if a synchronised norm
        of its heads comes after that, the others wait in it until the process group's timeout.
    """

    def __init__(
        self,
        trainer: SimpleTrainer,
        options: StepOptions,
        guard: NonFiniteGuard,
        stop_flag: Callable[[], int] = lambda: 0,
    ) -> None:
        self.stop_flag = stop_flag
        self.stop_asked = 0
        self.trainer = trainer
        self.options = options
        self.guard = guard
        self.advice = MemoryAdvice(self._bare_model)
        self._scaler_skips = 0
        if options.accumulate > 1:
            norms = len(moving_norms(self._bare_model))
            alone = f"; its {norms} batch norms see a part, not the batch" if norms else ""
            logger.info(f"each process's batch is computed in {options.accumulate} parts{alone}")

    @property
    def _bare_model(self) -> nn.Module:
        return bare_model(self.trainer.model)

    def run(self) -> None:
        """Take a batch, compute, and change the weights.

        Raises:
            NonFiniteError: see `NonFiniteGuard.handle`.
            ValueError: the batch has fewer images than parts.
            torch.cuda.OutOfMemoryError: with what to set.
        """
        trainer = self.trainer
        assert trainer.model.training, "the model was changed to eval mode"
        start = time.perf_counter()
        data = next(trainer._data_loader_iter)
        waited = time.perf_counter() - start
        parts = split_batch(data, self.options.accumulate)
        may_skip = self.guard.skipped < self.guard.limit
        statistics = NormStatistics(self._bare_model) if may_skip else None
        try:
            problem = self._compute(parts, waited)
        except torch.cuda.OutOfMemoryError as error:
            raise self.advice.explain(
                error,
                data,
                parts=len(parts),
                iteration=trainer.iter,
                mixed=self._scaler is not None,
            ) from error
        if problem is None:
            self._update()
            return
        precision = precision_of(trainer)
        if self._scaler is not None:
            precision = replace(precision, scale=self._scaler.get_scale())
        self.guard.handle(problem, Step(self._bare_model, parts, precision, trainer.iter))
        trainer.optimizer.zero_grad()
        if statistics is not None:
            statistics.restore()

    def _compute(self, parts: list[Part], waited: float) -> Problem | None:
        """Losses and gradients of all parts, and what is wrong with them."""
        self.trainer.optimizer.zero_grad()
        for part in parts[:-1]:
            with self._alone():
                self._backward(self._forward(part), part)
        losses = self._forward(parts[-1])
        # The last backward pass is the one in which processes wait for each other: before it they
        # agree that all of them will come.
        errors = [part.error for part in parts]
        told = comm.all_gather((_mean_losses(parts), errors, waited, self.stop_flag()))
        self.stop_asked = max(number for *_, number in told)
        problem = _problem_of_losses(told)
        if problem is not None:
            return problem
        self._backward(losses, parts[-1])
        _write_metrics(told)
        return self._problem_of_gradients()

    def _forward(self, part: Part) -> dict[str, Tensor]:
        precision = precision_of(self.trainer)
        part.random = RandomState.capture(precision.device)
        try:
            losses = precision.losses(self.trainer.model, part.data)
        except FloatingPointError as error:  # Detectron2's RPN says so itself
            part.error = str(error)
            return {}
        values = torch.stack([value.detach().float() for value in losses.values()]).tolist()
        part.losses = dict(zip(losses, values, strict=True))
        return losses

    def _backward(self, losses: dict[str, Tensor], part: Part) -> None:
        if not losses:
            return
        total = add_losses(losses) * part.share
        if self._scaler is not None:
            total = self._scaler.scale(total)
        total.backward()

    def _alone(self) -> contextlib.AbstractContextManager[object]:
        """A region in which gradients stay in this process."""
        model = self.trainer.model
        if isinstance(model, DistributedDataParallel):
            return model.no_sync()
        return contextlib.nullcontext()

    @property
    def _scaler(self) -> Any:
        return getattr(self.trainer, "grad_scaler", None)

    def _problem_of_gradients(self) -> Problem | None:
        """After the processes' gradients are averaged, so that all see the same."""
        if self._scaler is not None:
            self._scaler.unscale_(self.trainer.optimizer)
        if _gradients_are_finite(self.trainer.optimizer):
            return None
        if self._scaler is not None and self._scaler.get_scale() >= 1:
            self._note_scaler_skip()  # it leaves the step out and halves its scale: no error
            return None
        bad = [
            name
            for name, parameter in self._bare_model.named_parameters()
            if parameter.grad is not None and not is_finite(parameter.grad)
        ]
        if self._scaler is not None:
            self._scaler.update()  # forget this step
        return Problem(f"the losses are finite, but the gradients of {some(bad)} are not", True)

    def _note_scaler_skip(self) -> None:
        self._scaler_skips += 1
        if comm.is_main_process():
            get_event_storage().put_scalar(
                "amp_skipped_steps", self._scaler_skips, smoothing_hint=False
            )
        if self._scaler_skips == 1:
            logger.info(
                "mixed precision: gradients left float16's range, so the scaler leaves this step "
                "out and lowers its scale; a few such steps are usual (amp_skipped_steps counts)"
            )

    def _update(self) -> None:
        if self._scaler is None:
            self.trainer.optimizer.step()
            return
        self._scaler.step(self.trainer.optimizer)
        self._scaler.update()


def _mean_losses(parts: list[Part]) -> dict[str, float]:
    """The losses of the whole batch of this process."""
    names = dict.fromkeys(name for part in parts for name in part.losses)
    return {name: sum(part.share * part.losses.get(name, 0.0) for part in parts) for name in names}


def _problem_of_losses(
    told: list[tuple[dict[str, float], list[str], float, int]],
) -> Problem | None:
    """The first process's whose losses are not finite, or whose model has refused them."""
    for rank, (losses, errors, *_) in enumerate(told):
        said = [error for error in errors if error]
        bad = [f"{name} is {value}" for name, value in losses.items() if not math.isfinite(value)]
        if bad or said:
            who = f" in process {rank}" if len(told) > 1 else ""
            return Problem(f"{', '.join(bad) or said[0].rstrip('.')}{who}")
    return None


def _gradients_are_finite(optimizer: torch.optim.Optimizer) -> bool:
    gradients = [
        parameter.grad
        for group in optimizer.param_groups
        for parameter in group["params"]
        if parameter.grad is not None
    ]
    if not gradients:
        return True
    # a norm is what reads them fastest; one that overflows is looked at again
    norms = torch.stack([torch.linalg.vector_norm(one).float() for one in gradients])
    return math.isfinite(norms.sum()) or all(is_finite(one) for one in gradients)


def _write_metrics(told: list[tuple[dict[str, float], list[str], float, int]]) -> None:
    """As Detectron2 does: losses are means over the processes, waiting for data the longest."""
    if not comm.is_main_process():
        return
    storage = get_event_storage()
    storage.put_scalar("data_time", max(waited for _, _, waited, _ in told))
    means = {name: fmean(losses[name] for losses, *_ in told) for name in told[0][0]}
    storage.put_scalar("total_loss", sum(means.values()))
    if len(means) > 1:
        for name, value in means.items():
            storage.put_scalar(name, value)
