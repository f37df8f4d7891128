"""Random weights: the same key has the same values in whatever program, order and part it is asked for."""

from __future__ import annotations

from functools import cached_property

import torch

from graphlab.verification.draws import between, generator, mask
from graphlab.weights.built import Built, built
from graphlab.weights.errors import WeightsError
from graphlab.workload import Stage

_BLOCK = 1 << 22
"""Values drawn at a time in float32, whatever the dtype: 16 MiB beside the weight itself."""
_BIAS_STD = 0.02
_CPU = torch.device("cpu")


class RandomWeights:
    """Weights drawn from `seed` and their key in one precision, then rounded to the dtype asked for.

    Parameters of two and more axes are normal with standard deviation 1 / sqrt(values summed per output), biases
    normal with 0.02, all others (norm weights, scales) uniform from 0.8 to 1.2, so that a weight taken for a bias, or
    for another weight, shows. Buffers have the values the constructor of the stage computes (tables, positions,
    masks); running means are normal, running variances from 0.5 to 2. Buffers that nothing computes are uniform
    from 0.5 to 1.5, integers 0 or, for position ids, 0, 1, 2, ..., booleans mixed.
    """

    is_random = True

    def __init__(self, stage: Stage, seed: int, notes: tuple[str, ...] = ()) -> None:
        self.spec, self.seed = f"random:{seed}", seed
        self._stage, self._notes = stage, notes
        self._guessed: dict[str, None] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What else is to be said, and the buffers read so far whose values are lost and were drawn."""
        if not self._guessed:
            return self._notes
        return (*self._notes, f"values that nothing computes were drawn for {', '.join(self._guessed)}")

    @cached_property
    def _built(self) -> Built:
        return built(self._stage)

    def read(self, key: str, like: torch.Tensor) -> torch.Tensor:
        """The weight `key` on the CPU, with the shape and dtype of `like`.

        WeightsError for a buffer that the constructor of the stage makes of another shape.
        """
        shape = tuple(like.shape)
        if isinstance(like, torch.nn.Parameter) or key in self._built.parameters:
            return self._parameter(key, shape, like.dtype)
        source = generator(self.seed, key, _CPU)
        if key.endswith("running_var"):
            return between(shape, 0.5, 2.0, source).to(like.dtype)
        if key.endswith("running_mean"):
            return _normal(shape, 1.0, like.dtype, source)
        if key in self._built.computed:
            return computed(self._built, key, like)
        self._guessed[key] = None
        return _lost(key, shape, like.dtype, source)

    def _parameter(self, key: str, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        source = generator(self.seed, key, _CPU)
        if not (dtype.is_floating_point or dtype.is_complex):
            return _lost(key, shape, dtype, source)
        if len(shape) >= 2:
            count = torch.Size(shape).numel()
            return _normal(shape, max(count // max(shape[0], 1), 1) ** -0.5, dtype, source)
        if key.rsplit(".", 1)[-1].endswith("bias"):
            return _normal(shape, _BIAS_STD, dtype, source)
        return between(shape, 0.8, 1.2, source).to(dtype)


def computed(known: Built, key: str, like: torch.Tensor) -> torch.Tensor:
    """The buffer `key` as the constructor computes it, in the dtype of `like`; WeightsError for another shape."""
    value = known.computed[key]
    if value.shape != like.shape:
        raise WeightsError(
            f"the stage computes the buffer {key} of shape {tuple(value.shape)}, the program has {tuple(like.shape)}",
            hint="capture the program again: it is of another version of the model",
        )
    return value.to(like.dtype)


def _lost(key: str, shape: tuple[int, ...], dtype: torch.dtype, source: torch.Generator) -> torch.Tensor:
    """Values for what is no parameter and has none."""
    if dtype is torch.bool:
        return mask(shape, source)
    if dtype.is_floating_point or dtype.is_complex:
        return between(shape, 0.5, 1.5, source).to(dtype)
    if key.endswith("position_ids") and shape:
        return torch.arange(shape[-1]).expand(shape).to(dtype)
    return torch.zeros(shape, dtype=dtype)


def _normal(shape: tuple[int, ...], std: float, dtype: torch.dtype, source: torch.Generator) -> torch.Tensor:
    """Normal values around 0, drawn block by block: of the largest table only a block is ever held twice."""
    result = torch.empty(shape, dtype=dtype)
    for block in torch.split(result.view(-1), _BLOCK):
        wide = torch.complex64 if dtype.is_complex else torch.float32
        block.copy_(torch.empty(block.shape, dtype=wide).normal_(0, std, generator=source))
    return result
