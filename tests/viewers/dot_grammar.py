"""A reader of DOT after the grammar of graphviz.org/doc/info/lang.html: what it refuses is none."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r'\s*(?:(?P<quoted>"(?:\\.|[^"\\])*")|(?P<name>[A-Za-z_\u0080-\uffff][\w]*|-?(?:\.\d+|\d+(?:\.\d*)?))|(?P<sign>->|[{}\[\];,=]))',
    re.S,
)
_WORDS = {"node", "edge", "graph", "digraph", "subgraph", "strict"}


@dataclass
class Dot:
    """What a file says: {id: attributes} of nodes, (tail, head, attributes) of edges, and every cluster's label."""

    nodes: dict[str, dict[str, str]] = field(default_factory=dict)
    edges: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    clusters: list[str] = field(default_factory=list)


class Reader:
    """Reads one graph; AssertionError names the place of what the grammar does not allow."""

    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        at, end = 0, len(text.rstrip())
        while at < end:
            match = _TOKEN.match(text, at)
            assert match, f"no token at {text[at : at + 40]!r}"
            kind = match.lastgroup or ""
            self.tokens.append((kind, match.group(kind)))
            at = match.end()
        self.at = 0
        self.found = Dot()

    def read(self) -> Dot:
        """The whole file, which is one digraph."""
        assert self._take("name") == "digraph"
        self._id()
        self._block()
        assert self.at == len(self.tokens), "something follows the graph"
        return self.found

    def _peek(self) -> tuple[str, str]:
        return self.tokens[self.at]

    def _take(self, kind: str, text: str | None = None) -> str:
        own, value = self._peek()
        assert (own, value) == (kind, value if text is None else text), f"{value!r} where {text or kind} is expected"
        self.at += 1
        return value

    def _id(self) -> str:
        kind, value = self._peek()
        self.at += 1
        if kind == "quoted":
            return value[1:-1].replace('\\"', '"')
        assert (kind, value.lower() in _WORDS) == ("name", False), f"{value!r} is no id"
        return value

    def _block(self) -> None:
        self._take("sign", "{")
        while self._peek() != ("sign", "}"):
            self._statement()
            if self._peek() == ("sign", ";"):
                self.at += 1
        self._take("sign", "}")

    def _statement(self) -> None:
        kind, value = self._peek()
        if kind == "name" and value == "subgraph":
            self.at += 1
            assert self._id().startswith("cluster"), "only clusters are drawn"
            return self._block()
        if kind == "name" and value in ("node", "edge", "graph"):
            self.at += 1
            self._attributes()
            return None
        first = self._id()
        if self._peek() == ("sign", "="):
            self.at += 1
            assert first == "label"
            self.found.clusters.append(self._id())
        elif self._peek() == ("sign", "->"):
            self.at += 1
            self.found.edges.append((first, self._id(), self._attributes()))
        else:
            assert first not in self.found.nodes, f"{first!r} stands twice"
            self.found.nodes[first] = self._attributes()
        return None

    def _attributes(self) -> dict[str, str]:
        found: dict[str, str] = {}
        if self._peek() != ("sign", "["):
            return found
        self.at += 1
        while self._peek() != ("sign", "]"):
            key = self._id()
            self._take("sign", "=")
            assert key not in found, f"{key!r} is set twice"
            found[key] = self._id()
            if self._peek() in (("sign", ","), ("sign", ";")):
                self.at += 1
        self._take("sign", "]")
        return found
