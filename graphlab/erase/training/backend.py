"""Where a run computes and in what precision: as the models stand, or as accelerate says."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any, Protocol

import torch
from torch import nn

from graphlab.erase.errors import EraseError
from graphlab.erase.training.config import TrainingConfig


class Backend(Protocol):
    """What the loop asks of a device and a precision."""

    def place(self, module: nn.Module) -> torch.device:
        """Puts a module where it is computed, and says where."""
        ...

    def use(self, optimizer: torch.optim.Optimizer) -> None:
        """The optimizer whose gradients and steps these are."""
        ...

    def computing(self) -> AbstractContextManager[Any]:
        """What networks are called in."""
        ...

    def backward(self, loss: torch.Tensor) -> None:
        """Adds the gradient of `loss`."""
        ...

    def norm(self, parameters: Iterable[nn.Parameter], clip: float | None) -> float | None:
        """The norm of all gradients before they are clipped; None where it is not finite and the step skips itself."""
        ...

    def step(self) -> None:
        """One step of the optimizer, whose gradients are dropped after it."""
        ...

    def state(self) -> dict[str, Any]:
        """What a checkpoint has to keep of it."""
        ...

    def load(self, state: dict[str, Any]) -> None:
        """Goes on from a kept state."""
        ...


def backend_of(config: TrainingConfig) -> Backend:
    """The backend of a configuration; EraseError where accelerate is missing or cannot do what is asked."""
    return Plain() if config.backend == "plain" else Accelerated(config)


class Plain:
    """Models stay where they are and compute in their own dtype."""

    def __init__(self) -> None:
        self._optimizer: torch.optim.Optimizer | None = None

    def place(self, module: nn.Module) -> torch.device:
        """The device it is on."""
        return device_of(module)

    def use(self, optimizer: torch.optim.Optimizer) -> None:
        """The optimizer as it is."""
        self._optimizer = optimizer

    def computing(self) -> AbstractContextManager[Any]:
        """Nothing to enter."""
        return nullcontext()

    def backward(self, loss: torch.Tensor) -> None:
        """torch's backward."""
        torch.autograd.backward(loss)

    def norm(self, parameters: Iterable[nn.Parameter], clip: float | None) -> float | None:
        """torch's norm, and its clipping."""
        return _clipped(parameters, clip)

    def step(self) -> None:
        """Steps and drops the gradients."""
        if self._optimizer is None:
            raise EraseError("there is no optimizer to step")
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def load(self, state: dict[str, Any]) -> None:
        """Nothing to do."""


class Accelerated:
    """The device accelerate finds, with autocast, and with a scaled loss in fp16. One process."""

    def __init__(self, config: TrainingConfig) -> None:
        try:
            accelerate: Any = import_module("accelerate")
        except ImportError as error:
            raise EraseError("the backend accelerate is not installed", hint="pip install 'graphlab[erase]'") from error
        try:
            self._accelerator: Any = accelerate.Accelerator(mixed_precision=config.precision)
        except ValueError as error:
            raise EraseError(
                f"accelerate cannot compute in precision {config.precision}: {error}",
                hint="accelerate keeps the first precision of a process",
            ) from error
        if self._accelerator.num_processes != 1:
            raise EraseError(
                f"accelerate runs {self._accelerator.num_processes} processes, and training is made for one",
                hint="launch one process",
            )
        self._optimizer: Any = None

    def place(self, module: nn.Module) -> torch.device:
        """Moves the module to accelerate's device, where it stays."""
        module.to(self._accelerator.device)
        return device_of(module)

    def use(self, optimizer: torch.optim.Optimizer) -> None:
        """The optimizer, with accelerate's scaler where there is one."""
        self._optimizer = self._accelerator.prepare_optimizer(optimizer)

    def computing(self) -> AbstractContextManager[Any]:
        """Autocast in the precision asked for."""
        context: AbstractContextManager[Any] = self._accelerator.autocast()
        return context

    def backward(self, loss: torch.Tensor) -> None:
        """accelerate's backward, scaled in fp16."""
        self._accelerator.backward(loss)

    def norm(self, parameters: Iterable[nn.Parameter], clip: float | None) -> float | None:
        """The norm of the unscaled gradients; None where fp16 overflowed, which its scaler answers by skipping."""
        self._accelerator.unscale_gradients()
        norm = _clipped(parameters, clip)
        finite = norm is not None and torch.isfinite(torch.tensor(norm)).item()
        return norm if finite or self._accelerator.scaler is None else None

    def step(self) -> None:
        """Steps, unless fp16 overflowed, and drops the gradients."""
        self._optimizer.step()
        self._optimizer.zero_grad()

    def state(self) -> dict[str, Any]:
        """The scaler's state, in fp16."""
        scaler = self._accelerator.scaler
        return {} if scaler is None else {"scaler": scaler.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Puts the scaler's state back."""
        if "scaler" in state:
            self._accelerator.scaler.load_state_dict(state["scaler"])


def device_of(module: nn.Module) -> torch.device:
    """The device of a module's weights; EraseError for one without, or on several, or on the meta device."""
    devices = {parameter.device for parameter in module.parameters()}
    if len(devices) != 1 or "meta" in {device.type for device in devices}:
        raise EraseError(f"the weights are on {sorted(map(str, devices))}, expected one device with values")
    return devices.pop()


def _clipped(parameters: Iterable[nn.Parameter], clip: float | None) -> float:
    held = [parameter for parameter in parameters if parameter.grad is not None]
    if clip is not None:
        return float(nn.utils.clip_grad_norm_(held, clip))
    return float(nn.utils.get_total_norm([parameter.grad for parameter in held if parameter.grad is not None]))
