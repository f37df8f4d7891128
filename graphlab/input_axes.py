"""Names for the axes of inputs: sample.b, sample.h, encoder_hidden_states.t; by number where the meaning is unseen."""

from __future__ import annotations

from graphlab.facts import AxisFacts
from graphlab.graph import Graph

LETTERS = {"batch": "b", "height": "h", "width": "w", "frames": "f", "tokens": "t"}


def axis_names(graph: Graph, facts: AxisFacts) -> dict[str, str]:
    """{"sample.d2": "sample.h"} for every axis of every input of `graph`; letters repeat in no input."""
    names: dict[str, str] = {}
    for node in graph.inputs:
        used: set[str] = set()
        for index, size in enumerate(node.out.shape):
            axis = f"{node.name}.d{index}"
            shared = size if isinstance(size, str) and size in graph.symbols else axis
            letter = LETTERS.get(facts.meaning.get(shared, ""), f"d{index}")
            if letter in used:
                letter = f"d{index}"
            used.add(letter)
            names[axis] = f"{node.name}.{letter}"
    return names
