"""Where every node of an ONNX model comes from, in words that viewers such as Netron show beside it."""

from __future__ import annotations

import ast
from typing import Any

from graphlab.graph import Graph, Node

_SCOPES = "pkg.torch.onnx.name_scopes"
"""Metadata of a node: a list of module paths as text, the node of the translated graph last."""


def say_places(model: Any, graph: Graph) -> None:
    """Writes module, class and source line of the call each node of `model` was translated from as its doc string.

    `graph` is the one that was translated. Nothing that computes is touched; nodes without a place get no text. What a
    call costs is not said: one call is often several nodes of ONNX, and no share of it would be true of each of them.
    """
    for node in model.graph:
        made = _call(node.metadata_props.get(_SCOPES, ""), graph)
        text = "" if made is None else place_of(made)
        node.doc_string = text or None


def place_of(node: Node) -> str:
    """ "decoder.conv_in (Conv2d), diffusers/models/autoencoders/vae.py:305"; what is unknown is left out."""
    path, kind = node.modules[-1] if node.modules else ("", "")
    short = kind.rsplit(".", 1)[-1]
    module = f"{path} ({short})" if path and short else path or short
    return ", ".join(part for part in (module, node.source) if part)


def _call(scopes: str, graph: Graph) -> Node | None:
    """The call that `scopes` end with; None where they say none of `graph`."""
    try:
        found = ast.literal_eval(scopes) if scopes else []
    except (ValueError, SyntaxError):
        return None
    name = found[-1] if isinstance(found, list) and found else None
    return graph.by_name.get(name) if isinstance(name, str) else None
