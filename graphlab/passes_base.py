"""What a pass is. An analysis returns facts about a graph; it never changes the graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from graphlab.graph import Graph

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AnalysisInput:
    """What an analysis sees.

    `symbolic` is the captured graph, sizes as text over its symbols; `graph` has integer sizes at the bindings
    asked for; `example` is the same graph, node for node, at the sizes it was captured with, where equal sizes
    are least likely to be a coincidence. `packed` binds axes data flow cannot see: {"hidden_states.d1":
    ("height", "width")}. `result` gives another analysis' facts by pass name; asking for it runs it, once.
    """

    symbolic: Graph
    graph: Graph
    example: Graph
    result: Callable[[str], Any]
    packed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Pass(ABC):
    """Base of every pass; a subclass is a frozen dataclass whose fields are its options.

    `name` is the file's name with dashes. One line of help is the first line of the class docstring.
    """

    name: ClassVar[str]


class Analysis(Pass, Generic[T]):
    """A pass that returns facts of type T.

    `sized` is False where the facts come from the example alone: they are the same at every binding.
    """

    sized: ClassVar[bool] = True

    @abstractmethod
    def run(self, given: AnalysisInput) -> T:
        """The facts about `given.graph`, keyed by node name."""
