"""Numbers for weights and values, away from 0 and 1, the same for the same key and seed."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from graphlab.graph import Graph
from graphlab.verification.result import VerificationError
from graphlab.verification.run import wide
from graphlab.verification.sources import contracted, index_range, statistics

if TYPE_CHECKING:
    from graphlab.rewriting.new_tensor import NewTensor


def generator(seed: int, name: str, device: torch.device) -> torch.Generator:
    """Random numbers that depend on `seed` and `name` alone."""
    return torch.Generator(device).manual_seed(zlib.crc32(f"{seed} {name}".encode()))


def normal(shape: Sequence[int], std: float, source: torch.Generator) -> torch.Tensor:
    """float64, normal around 0."""
    return torch.empty(tuple(shape), dtype=torch.float64, device=source.device).normal_(0, std, generator=source)


def between(shape: Sequence[int], low: float, high: float, source: torch.Generator) -> torch.Tensor:
    """float64, uniform from `low` to `high`."""
    return torch.empty(tuple(shape), dtype=torch.float64, device=source.device).uniform_(low, high, generator=source)


def signed(shape: Sequence[int], low: float, high: float, source: torch.Generator) -> torch.Tensor:
    """float64, magnitudes uniform from `low` to `high`, signs random."""
    return between(shape, low, high, source) * (between(shape, -1, 1, source) < 0).to(torch.float64).mul(-2).add(1)


def integers(shape: Sequence[int], low: int, high: int, dtype: torch.dtype, source: torch.Generator) -> torch.Tensor:
    """Integers from `low` to `high` - 1."""
    return torch.randint(low, high, tuple(shape), device=source.device, generator=source).to(dtype)


def mask(shape: Sequence[int], source: torch.Generator, *, rows: bool = False) -> torch.Tensor:
    """Booleans, mixed along the last axis: the first is true and, from two on, one is false, so neither polarity masks
    a whole row. With `rows` the first entry of axis 0 is all false and the last all true."""
    values = between(shape, 0, 1, source) < 0.6
    if values.dim() == 0 or values.numel() == 0:
        return torch.ones_like(values)
    if values.shape[-1] > 1:
        values[..., -1] = values[..., -1] & ~values[..., 1:].all(-1)
    values[..., 0] = True
    if rows and values.dim() > 1:
        values[0], values[-1] = False, True
    return values


def has_values(tensor: torch.Tensor) -> bool:
    """Whether `tensor` holds numbers: meta and fake tensors do not."""
    return not tensor.is_meta and not isinstance(tensor, FakeTensor)


def constant(name: str, value: torch.Tensor, seed: int, device: torch.device) -> torch.Tensor:
    """A constant of a graph on `device`: its own numbers, drawn from 0.5 to 1.5 where it is floating and has none."""
    if has_values(value):
        return value.detach().to(device)
    if not value.is_floating_point():
        raise VerificationError(f"the constant {name} has no values ({value.dtype} on the meta device)")
    return between(value.shape, 0.5, 1.5, generator(seed, name, device)).to(value.dtype)


class Weights:
    """Weights of a program and of what was rewritten from it, drawn when asked for.

    Parameters are drawn: those a contraction reads normal with standard deviation 1 / sqrt(values summed per output),
    biases with magnitudes 0.1 to 0.5, everything else with magnitudes 0.5 to 1.5 and random signs. Running means are
    normal, running variances 0.5 to 2. Other buffers and constants keep their values where they have some; without
    values floating ones are 0.5 to 1.5, integers lie within the table they index. Values are first rounded to the
    dtype of the weight, so both precisions start from the same numbers. Weights that are one memory stay one. A weight
    that a pass changes on purpose (a mask) is changed for both programs.
    """

    def __init__(
        self, before: ExportedProgram, graph: Graph, made: Sequence[NewTensor], seed: int, device: torch.device
    ) -> None:
        self.before, self.graph, self.seed, self.device = before, graph, seed, device
        self.made: Mapping[str, NewTensor] = {tensor.key: tensor for tensor in made}
        self.statistics, self.contracted = statistics(graph), contracted(graph)
        self.kinds = {spec.target: spec.kind for spec in before.graph_signature.input_specs if spec.target}
        self.first = _shared(before)
        self.known: dict[tuple[str, bool], torch.Tensor] = {}

    def get(self, key: str, *, double: bool) -> torch.Tensor:
        """The weight `key` in its dtype, or in float64; VerificationError when nothing says where it comes from."""
        if (key, double) not in self.known:
            self.known[key, double] = self._get(key, double=double)
        return self.known[key, double]

    def forget(self) -> None:
        """Lets go of the weights drawn so far; they are drawn again, the same, when asked for."""
        self.known.clear()

    def _get(self, key: str, *, double: bool) -> torch.Tensor:
        if key in self.made and key not in self.kinds:
            return self._made(key, double=double)
        if key not in self.kinds:
            raise VerificationError(f"the weight {key} is new and the rewrite does not say what it is made of")
        if double:
            return wide(self.get(key, double=False))
        value = self.original(key)
        drawn = self._drawn(self.first.get(key, key), value).to(value.dtype)
        if key not in self.made:
            return drawn
        with torch.no_grad():
            return self.made[key].make({key: drawn})

    def _made(self, key: str, *, double: bool) -> torch.Tensor:
        recipe = self.made[key]
        with torch.no_grad():
            # A folded constant may have no weight behind it that shows the precision asked for.
            make = getattr(recipe.make, "double", recipe.make) if double else recipe.make
            made = make({origin: self.get(origin, double=double) for origin in recipe.origins})
        return wide(made) if double else made

    def original(self, key: str) -> torch.Tensor:
        """What the program before holds for `key`."""
        value = self.before.state_dict.get(key, self.before.constants.get(key))
        if not isinstance(value, torch.Tensor):
            raise VerificationError(f"{key} is a {type(value).__name__}, only programs of tensors can be run")
        return value

    def role(self, key: str) -> str:
        """How `key` is drawn, for telling weights apart that are alike in shape."""
        if key in self.statistics:
            return self.statistics[key]
        if key in self.contracted:
            return "contracted"
        return "bias" if key.rsplit(".", 1)[-1].endswith("bias") else str(self.kinds.get(key))

    def _drawn(self, key: str, value: torch.Tensor) -> torch.Tensor:
        source, shape = generator(self.seed, key, self.device), value.shape
        role, parameter = self.role(key), self.kinds[key] is InputKind.PARAMETER
        if role == "variance" or key.endswith("running_var"):
            return between(shape, 0.5, 2.0, source)
        if role == "mean" or key.endswith("running_mean"):
            return normal(shape, 1.0, source)
        if not parameter and has_values(value):
            return value.detach().to(self.device)
        if value.is_complex():
            return torch.complex(normal(shape, 1.0, source), normal(shape, 1.0, source))
        if not value.is_floating_point():
            return self._integers(key, value, source)
        if role == "contracted":
            return normal(shape, max(value.numel() // max(value.shape[0], 1), 1) ** -0.5, source)
        if not parameter:
            return between(shape, 0.5, 1.5, source)
        return signed(shape, 0.1, 0.5, source) if role == "bias" else signed(shape, 0.5, 1.5, source)

    def _integers(self, key: str, value: torch.Tensor, source: torch.Generator) -> torch.Tensor:
        if has_values(value):
            return value.detach().to(self.device)
        if value.dtype is torch.bool:
            return mask(value.shape, source)
        if key.endswith("position_ids") and value.dim():
            return torch.arange(value.shape[-1], device=self.device).expand(value.shape).to(value.dtype)
        names = [node.name for node in self.graph.nodes if node.target == key and node.kind != "call"]
        ranges = [found for name in names if (found := index_range(self.graph.at(self.graph.symbols), name))]
        low, high = min(ranges, key=lambda pair: pair[1]) if ranges else (0, 2)
        return integers(value.shape, low, high, value.dtype, source)


def _shared(program: ExportedProgram) -> dict[str, str]:
    """{key: first key} of the weights that are one memory."""
    first: dict[tuple[object, ...], str] = {}
    found: dict[str, str] = {}
    for spec in program.graph_signature.input_specs:
        value = program.state_dict.get(spec.target or "", program.constants.get(spec.target or ""))
        if spec.target is None or not isinstance(value, torch.Tensor) or not value.numel():
            continue
        place = (value.untyped_storage()._cdata, value.storage_offset(), tuple(value.shape), value.dtype)
        found[spec.target] = first.setdefault(place, spec.target)
    return found
