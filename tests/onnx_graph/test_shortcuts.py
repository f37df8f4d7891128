"""What is inferred without torch is what torch infers, at every size."""

from __future__ import annotations

from typing import Any

import onnx
import pytest

from graphlab.graph import Graph
from graphlab.onnx_graph import tracer
from tests.onnx_graph.builders import model, node, numbers, read, tensor, weight


def attention_after_a_strided_convolution() -> onnx.ModelProto:
    """x (batch, 4, h, w) convolved by two, normalised, attending over its positions, spelled out."""
    nodes = [
        node("Conv", "x w b", "c", strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Reshape", "c groups", "g"), node("InstanceNormalization", "g one zero", "n"), node("Shape", "c", "sc"),
        node("Reshape", "n sc", "m"), node("Reshape", "m flat", "f"), node("Transpose", "f", "t", perm=[0, 2, 1]),
        node("MatMul", "t p", "q"), node("Reshape", "q split", "qh"), node("Transpose", "qh", "qt", perm=[0, 2, 1, 3]),
        node("Transpose", "qh", "kt", perm=[0, 2, 3, 1]), node("MatMul", "qt kt", "s"), node("Softmax", "s", "a"),
        node("MatMul", "a qt", "o"), node("Transpose", "o", "ot", perm=[0, 2, 1, 3]), node("Reshape", "ot join", "j"),
        node("Transpose", "j", "jt", perm=[0, 2, 1]), node("Reshape", "jt sc"),
    ]  # fmt: skip
    given = [
        weight("w", 8, 4, 3, 3), weight("b", 8), weight("one", 2), weight("zero", 2), weight("p", 8, 8),
        numbers("groups", 0, 2, -1), numbers("flat", 0, 8, -1), numbers("split", 0, -1, 2, 4),
        numbers("join", 0, -1, 8),
    ]  # fmt: skip
    return model(nodes, [tensor("x", "batch", 4, "height", "width")], given)


@pytest.mark.parametrize("sizes", [(1, 64, 64), (2, 33, 50), (3, 18, 7)])
def test_the_same_graph(sizes: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    at = dict(zip(("x.d0", "x.d2", "x.d3"), sizes, strict=True))
    asked: list[str] = []
    original = tracer.shortcut

    def counted(target: str, *rest: Any) -> Any:
        made = original(target, *rest)
        asked.extend([target] if made is not None else [])
        return made

    monkeypatch.setattr(tracer, "shortcut", counted)
    quick: Graph = read(attention_after_a_strided_convolution()).program.graph
    assert set(asked) == {
        "aten.instance_norm.default",
        "aten.matmul.default",
        "aten.reshape.default",
        "aten.softmax.int",
    }
    monkeypatch.setattr(tracer, "shortcut", lambda *_: None)
    slow: Graph = read(attention_after_a_strided_convolution()).program.graph
    assert quick.at(at).nodes == slow.at(at).nodes


@pytest.mark.parametrize("sizes", [(5, 7), (-1, -1)], ids=["other-number", "twice"])
def test_shapes_that_are_wrong_are_left_to_torch(sizes: tuple[int, int]) -> None:
    from graphlab.errors import SourceError

    with pytest.raises(SourceError, match="Reshape 'y' does not take its inputs"):
        read(model([node("Reshape", "x s")], [tensor("x", 2, 3)], [numbers("s", *sizes)]))
