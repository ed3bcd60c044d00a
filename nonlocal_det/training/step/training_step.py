"""One step of a training: Detectron2's, in micro-batches if asked, its numbers checked."""

import contextlib
import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import fmean
from typing import Any, NamedTuple

import torch
from detectron2.engine import SimpleTrainer
from detectron2.utils import comm
from detectron2.utils.events import get_event_storage
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parallel import DistributedDataParallel

from .memory import explain_out_of_memory
from .micro_batch import MicroBatch, get_rng_state, shorten, split_batch
from .nan_search import is_finite
from .nonfinite import FailedStep, NonFiniteGuard
from .precision import add_losses, precision_of

logger = logging.getLogger("nonlocal_det")


def bare_model(model: nn.Module) -> nn.Module:
    """Return the model that `DistributedDataParallel` wraps, whose modules have plain names."""
    return model.module if isinstance(model, DistributedDataParallel) else model


class _Report(NamedTuple):
    """What the processes exchange in a step: losses, errors, seconds waited for data, signal."""

    losses: dict[str, float]
    errors: list[str]
    waited: float
    stop: int


class TrainingStep:
    """Detectron2's step (of `SimpleTrainer` and `AMPTrainer`, of the 0.6 release and of main).

    It adds: a batch in micro-batches whose gradients add up; losses and gradients that are not
    finite are found before the weights change, by all processes together, and go to the guard;
    running out of GPU memory is explained.

    A step without a fault costs what Detectron2's does: the losses are waited for before the
    backward pass instead of after it, and a norm of the gradients is taken.

    Args:
        trainer: Detectron2's inner one, which has model, data, optimizer and perhaps a scaler.
        guard: handles a step that fails.
        accumulate: micro-batches into which each process's batch is divided.
        stop_flag: returns this process's signal to stop, a number; 0: none.

    Attributes:
        stop_asked: the signal that a process had when the processes last agreed; 0: none.

    Note:
        A model that refuses its own numbers does so in one process only: if a synchronised norm of
        its heads comes after that, the others wait in it until the process group's timeout.
    """

    def __init__(
        self,
        trainer: SimpleTrainer,
        guard: NonFiniteGuard,
        accumulate: int = 1,
        stop_flag: Callable[[], int] = lambda: 0,
    ) -> None:
        self.trainer = trainer
        self.guard = guard
        self.accumulate = accumulate
        self.stop_flag = stop_flag
        self.stop_asked = 0
        self._scaler_skips = 0
        if accumulate > 1:
            norms = len(_moving_norms(self._bare_model))
            note = f"; its {norms} batch norms see a part, not the batch" if norms else ""
            logger.info(f"each process's batch is computed in {accumulate} parts{note}")

    def run(self) -> None:
        """Take a batch, compute, and change the weights.

        Raises:
            NonFiniteError: losses or gradients are not finite, and no more steps may be left out.
            ValueError: the batch has fewer images than micro-batches.
            torch.cuda.OutOfMemoryError: with the settings that need less.
        """
        trainer = self.trainer
        assert trainer.model.training, "the model was changed to eval mode"
        start = time.perf_counter()
        data = next(trainer._data_loader_iter)
        waited = time.perf_counter() - start
        batches = split_batch(data, self.accumulate)
        statistics = self._copy_norm_statistics()
        trainer.optimizer.zero_grad()
        distributed = isinstance(trainer.model, DistributedDataParallel)
        try:
            for batch in batches[:-1]:
                # gradients stay in this process until the last part
                with trainer.model.no_sync() if distributed else contextlib.nullcontext():
                    self._backward(self._forward(batch), batch)
            losses = self._forward(batches[-1])
            # In the last backward pass the processes wait for each other: first they agree on it.
            errors = [batch.error for batch in batches if batch.error]
            report = _Report(_mean_losses(batches), errors, waited, self.stop_flag())
            reports = comm.all_gather(report)
            self.stop_asked = max(report.stop for report in reports)
            problem, in_gradients = _check_losses(reports), False
            if not problem:
                self._backward(losses, batches[-1])
                _write_metrics(reports)
                problem, in_gradients = self._check_gradients(), True
        except torch.cuda.OutOfMemoryError as error:
            mixed = precision_of(trainer).dtype is not None
            raise explain_out_of_memory(
                error, self._bare_model, data, parts=len(batches), mixed=mixed
            ) from error
        if not problem:
            self._update()
            return
        precision = precision_of(trainer)
        if self._scaler is not None:
            precision = replace(precision, scale=self._scaler.get_scale())
        self.guard.handle(
            FailedStep(problem, in_gradients, self._bare_model, batches, precision, trainer.iter)
        )
        trainer.optimizer.zero_grad()
        for buffer, value in statistics:
            buffer.copy_(value)

    @property
    def _bare_model(self) -> nn.Module:
        return bare_model(self.trainer.model)

    @property
    def _scaler(self) -> Any:
        return getattr(self.trainer, "grad_scaler", None)

    def _copy_norm_statistics(self) -> list[tuple[Tensor, Tensor]]:
        """Copy what the forward pass changes, where the step may be left out."""
        if self.guard.skipped >= self.guard.limit:
            return []
        norms = _moving_norms(self._bare_model)
        return [(b, b.clone()) for norm in norms for b in norm.buffers(recurse=False)]

    def _forward(self, batch: MicroBatch) -> dict[str, Tensor]:
        precision = precision_of(self.trainer)
        batch.rng_state = get_rng_state(precision.device)
        try:
            losses = precision.losses(self.trainer.model, batch.data)
        except FloatingPointError as error:  # Detectron2's RPN
            batch.error = str(error)
            return {}
        values = torch.stack([value.detach().float() for value in losses.values()]).tolist()
        batch.losses = dict(zip(losses, values, strict=True))
        return losses

    def _backward(self, losses: dict[str, Tensor], batch: MicroBatch) -> None:
        if not losses:
            return
        total = add_losses(losses) * batch.share
        if self._scaler is not None:
            total = self._scaler.scale(total)
        total.backward()

    def _check_gradients(self) -> str:
        """Return what is wrong; the processes' gradients are averaged, so all find the same."""
        if self._scaler is not None:
            self._scaler.unscale_(self.trainer.optimizer)
        if _gradients_are_finite(self.trainer.optimizer):
            return ""
        if self._scaler is not None and self._scaler.get_scale() >= 1:
            self._note_scaler_skip()  # it leaves the step out and halves its scale: no error
            return ""
        bad = [
            name
            for name, parameter in self._bare_model.named_parameters()
            if not is_finite(parameter.grad)
        ]
        if self._scaler is not None:
            self._scaler.update()  # forget this step
        return f"the losses are finite, but the gradients of {shorten(bad)} are not"

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


def _moving_norms(model: nn.Module) -> list[nn.Module]:
    """List the norms over the batch whose running statistics training moves."""
    return [m for m in model.modules() if isinstance(m, _NormBase) and m.training]


def _mean_losses(batches: list[MicroBatch]) -> dict[str, float]:
    """Compute the losses of this process's whole batch."""
    names = dict.fromkeys(name for batch in batches for name in batch.losses)
    return {name: sum(b.share * b.losses.get(name, 0.0) for b in batches) for name in names}


def _check_losses(reports: list[_Report]) -> str:
    """Name the losses of the first process where one is not finite or the model refused them."""
    for rank, report in enumerate(reports):
        bad = [f"{name} is {x}" for name, x in report.losses.items() if not math.isfinite(x)]
        if bad or report.errors:
            process = f" in process {rank}" if len(reports) > 1 else ""
            return (", ".join(bad) or report.errors[0].rstrip(".")) + process
    return ""


def _gradients_are_finite(optimizer: torch.optim.Optimizer) -> bool:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients:
        return True
    # a norm reads them fastest; one that overflows is no proof
    norms = torch.stack([torch.linalg.vector_norm(gradient).float() for gradient in gradients])
    return math.isfinite(norms.sum()) or is_finite(gradients)


def _write_metrics(reports: list[_Report]) -> None:
    """Log as Detectron2: mean losses over the processes, the longest wait for data."""
    if not comm.is_main_process():
        return
    storage = get_event_storage()
    storage.put_scalar("data_time", max(report.waited for report in reports))
    means = {name: fmean(report.losses[name] for report in reports) for name in reports[0].losses}
    storage.put_scalar("total_loss", sum(means.values()))
    if len(means) > 1:
        for name, value in means.items():
            storage.put_scalar(name, value)
