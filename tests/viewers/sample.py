"""A small program with the names of a stranger, and one with the names of a model, for every viewer's test."""

from __future__ import annotations

import math
from functools import lru_cache

from graphlab.drawing import drawing
from graphlab.graph import Graph, Node, Ref, TensorSpec
from graphlab.hardware import Hardware
from graphlab.program import Program
from graphlab.sources.bare import program_workload
from graphlab.stage_analysis import Options
from graphlab.viewers.data import Drawing

HOSTILE = (
    'quote"', "back\\slash\\", "line\nbreak</script>", "__proto__", "constructor", "a/b", "x___group___", "node",
    "\u202eright to left", "lone\ud800", "\x00\x1b[31m", "ü 中", "<b>&amp;", "", "Case", "case", "subgraph", "n" * 3000,
)  # fmt: skip

DEVICE = Hardware(
    name="toy",
    title="Toy",
    kind="gpu",
    memory_bytes=10**9,
    bandwidth=1e9,
    peak_flops={"float32": 1e12, "float16": 1e13},
)


def tensor(*shape: int, dtype: str = "float32") -> TensorSpec:
    """A contiguous tensor."""
    return TensorSpec(shape, tuple(math.prod(shape[i + 1 :]) for i in range(len(shape))), dtype)


def call(name: str, op: str, *refs: str, shape: tuple[int, ...], modules: tuple[tuple[str, str], ...] = ()) -> Node:
    """A call of `op` on the values `refs`."""
    return Node(name, "call", op, tuple(map(Ref, refs)), (), (tensor(*shape),), modules, "model.py:3")


def chain(names: tuple[str, ...]) -> Program:
    """x through a linear and a relu for every name, in a module each, and the sum of the first and the last value."""
    spec = tensor(2, 16)
    nodes = [Node("x", "input", "x", outputs=(spec,)), Node("w", "parameter", "w", outputs=(tensor(16, 16),))]
    last = "x"
    for number, name in enumerate(names):
        stack = (("", "pkg.Model"), (f"blocks/{number % 3}", 'pkg.Bl"ock'), (f"blocks/{number % 3}.{name}", "Inner\n"))
        linear = f"linear {name}"
        nodes.append(call(linear, "aten.linear.default", last, "w", shape=(2, 16), modules=stack))
        nodes.append(call(name, "aten.relu.default", linear, shape=(2, 16), modules=stack[:-1]))
        last = name
    nodes.append(call("end", "aten.add.Tensor", names[0], last, shape=(2, 16), modules=(("", "pkg.Model"),)))
    return Program("hostile", Graph(tuple(nodes), ("end",)))


def drawn(program: Program, *, timed: bool = True) -> Drawing:
    """The drawing of `program`, whole."""
    workload = program_workload(program, program.name)
    return drawing(workload, Options(dynamic=False, cache=False), DEVICE if timed else None)


@lru_cache(maxsize=2)
def hostile(*, timed: bool = True) -> Drawing:
    """The drawing of HOSTILE names."""
    return drawn(chain(HOSTILE), timed=timed)


@lru_cache(maxsize=1)
def diffusion() -> Drawing:
    """The three stages of a tiny Stable Diffusion."""
    import graphlab

    workload = graphlab.load("stable-diffusion-v1-5-tiny", dynamic=False)
    return drawing(workload, Options(dynamic=False), DEVICE)
