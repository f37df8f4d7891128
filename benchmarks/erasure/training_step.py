"""A step of training a base: one by one, or, on a CUDA device, recorded once and replayed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from benchmarks.erasure.training_batch import Batch
from benchmarks.erasure.training_state import State, parameters_of

BEFORE_RECORDING = 3
"""Steps made one by one before one is recorded: the optimiser's state and the libraries' workspaces exist then."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a step reads: noisy `x` and `target` (batch, channels, height, width), the rest (batch, ...) or scalars."""

    x: torch.Tensor
    target: torch.Tensor
    time: torch.Tensor
    weight: torch.Tensor
    ids: torch.Tensor
    named: torch.Tensor
    rate: torch.Tensor
    forget: torch.Tensor

    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All of them, in order."""
        return (self.x, self.target, self.time, self.weight, self.ids, self.named, self.rate, self.forget)


def inputs_of(state: State, batch: Batch) -> Inputs:
    """The inputs of the next step, on the CPU."""
    how = state.how
    return Inputs(
        batch.levels.noisy(batch.images, batch.noise),
        batch.levels.target(batch.images, batch.noise, how.kind),
        batch.levels.time,
        batch.levels.weight(how.kind),
        batch.ids,
        batch.named,
        torch.tensor(how.rate_at(state.step)),
        torch.tensor(1 - how.decay_at(state.step)),
    )


def stepper(state: State) -> Callable[[Batch], None]:
    """What makes a step of a batch and counts it; the loss is added to that of the state."""
    return _Recorded(state) if state.loss.is_cuda else _one_by_one(state)


def loss_of(state: State, inputs: Inputs) -> torch.Tensor:
    """The weighted squared error of the images, and the cross-entropy of telling from every token what is named."""
    text = state.base.encoder(inputs.ids)
    made = state.base.denoiser().network(inputs.x, inputs.time, text)
    loss = (inputs.weight * (made - inputs.target).square().mean((1, 2, 3))).mean()
    if not state.how.telling:
        return loss
    told = [
        nn.functional.cross_entropy(teller(text).transpose(1, 2), wanted[:, None].expand(text.shape[:2]))
        for teller, wanted in zip(state.tellers, inputs.named.unbind(1), strict=True)
    ]
    return loss + state.how.telling * torch.stack(told).mean()


def _advance(state: State, inputs: Inputs) -> None:
    """One step of Adam and of the moving average, without a look at any value."""
    state.optimizer.zero_grad(set_to_none=True)
    loss = loss_of(state, inputs)
    torch.autograd.backward(loss)
    state.optimizer.param_groups[0]["lr"].copy_(inputs.rate)
    state.optimizer.step()
    with torch.no_grad():
        for kept, new in zip(parameters_of(state.average), parameters_of(state.base), strict=True):
            kept.lerp_(new, inputs.forget)
        state.loss.add_(loss.detach())


def _one_by_one(state: State) -> Callable[[Batch], None]:
    def step(batch: Batch) -> None:
        _advance(state, inputs_of(state, batch))
        state.step += 1

    return step


class _Recorded:
    """A CUDA graph of a step, over inputs that stay where they are, replayed on whatever stream is current.

    It is recorded on a stream of its own, so several trainings of a process share no workspace of a library.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self.inputs: Inputs | None = None
        self.graph: torch.cuda.CUDAGraph | None = None
        self.made = 0
        self.stream = torch.cuda.Stream()

    def __call__(self, batch: Batch) -> None:
        given = inputs_of(self.state, batch)
        if self.inputs is None:
            self.inputs = Inputs(*(value.to(self.state.loss.device) for value in given.tensors()))
        for kept, new in zip(self.inputs.tensors(), given.tensors(), strict=True):
            kept.copy_(new.pin_memory(), non_blocking=True)
        if self.made < BEFORE_RECORDING:
            self._beside()
        else:
            self._replay()
        self.made += 1
        self.state.step += 1

    def _beside(self) -> None:
        """A real step on a stream of its own, as recording wants it."""
        assert self.inputs is not None
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            _advance(self.state, self.inputs)
        torch.cuda.current_stream().wait_stream(self.stream)

    def _replay(self) -> None:
        assert self.inputs is not None
        if self.graph is None:
            self.state.optimizer.zero_grad(set_to_none=True)
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph, stream=self.stream):
                _advance(self.state, self.inputs)
        self.graph.replay()
