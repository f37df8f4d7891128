"""`Program`: one stage's graph, captured, with the exported program behind it where there is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphlab.graph import Graph

if TYPE_CHECKING:
    from torch.export import ExportedProgram


@dataclass(frozen=True, slots=True)
class Program:
    """A captured stage.

    `graph` is what analyses read. `exported` is torch's program, or None when the graph came from the
    on-disk cache. `notes` say what capture had to give up (axes that stayed static, and why); they reach
    every report. `history` lists what was done to the program since capture.
    """

    name: str
    graph: Graph
    exported: ExportedProgram | None = None
    notes: tuple[str, ...] = ()
    history: tuple[str, ...] = ()

    @property
    def example(self) -> Mapping[str, int]:
        """{symbol: size} of the example this program was captured with."""
        return self.graph.symbols
