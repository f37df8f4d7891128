"""The smaller rows of a stage's report: modules, what is alive at the peak, ops without a rule, growth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from graphlab.report.decoding import SHARE, SIGNED


@dataclass(frozen=True, slots=True)
class ModuleRow:
    """A module of a stage by its `path`, "" for the stage itself: its class, and what it holds itself.

    Weights that modules share count in each of them; `module_class` is "" where the capture does not say.
    """

    path: str
    module_class: str
    parameters: int
    weight_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Every field by name."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class LiveTensor:
    """An activation alive at the peak of a stage with fused attention; `kind` is "call" or "input"."""

    node: str
    kind: str
    shape: tuple[int, ...]
    dtype: str
    nbytes: int

    def to_dict(self) -> dict[str, Any]:
        """Every field by name."""
        return {name: getattr(self, name) for name in self.__slots__} | {"shape": list(self.shape)}


@dataclass(frozen=True, slots=True)
class UnknownOp:
    """An op without a rule: how many calls, and their share of all calls."""

    op: str
    nodes: int
    share: Annotated[float, SHARE]

    def to_dict(self) -> dict[str, Any]:
        """{"op", "nodes", "share"}."""
        return {"op": self.op, "nodes": self.nodes, "share": self.share}


@dataclass(frozen=True, slots=True)
class Scaling:
    """How FLOPs grow with one symbol: the polynomial's degree in it, and the local exponent at the bindings.

    `image_side` stands for height and width growing together.
    """

    symbol: str
    degree: int
    exponent: Annotated[float, SIGNED]

    def to_dict(self) -> dict[str, Any]:
        """{"degree", "exponent"}."""
        return {"degree": self.degree, "exponent": self.exponent}


@dataclass(frozen=True, slots=True)
class AnalysisFacts:
    """What an analysis that was asked for says of one call of a stage.

    `name` is the analysis with its options as one would write them, `owner` who it comes from. `facts` are JSON
    values (`graphlab.report.plain`).
    """

    name: str
    owner: str
    facts: Any

    def to_dict(self) -> dict[str, Any]:
        """{"name", "owner", "facts"}."""
        return {"name": self.name, "owner": self.owner, "facts": self.facts}
