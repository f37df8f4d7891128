"""What is drawn, at which sizes, what may differ, and how a signature tells regions apart."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from graphlab.errors import GraphlabError
from graphlab.graph import Graph, Node, TensorSpec
from graphlab.program import Program
from graphlab.verification.bindings import candidates
from graphlab.verification.compare import Tally, gap, typical, vacuous
from graphlab.verification.draws import Weights, constant, generator, mask
from graphlab.verification.inputs import program_inputs
from graphlab.verification.result import VerificationError, VerifyOptions
from graphlab.verification.sources import index_range
from graphlab.verification.tape import tape
from graphlab.verification.verify import verify
from tests.verification.modules import captured

CPU = torch.device("cpu")
OPTIONS = VerifyOptions()


def tally(reference: torch.Tensor, before: torch.Tensor, after: torch.Tensor) -> Tally:
    found = Tally()
    found.add_double(reference, reference)
    found.add_model(reference, before, after)
    return found


def test_errors_are_relative_to_the_element_or_the_typical_size() -> None:
    b = torch.tensor([1.0, 1.0, 1.0, -3e38], dtype=torch.float64)
    a = b.clone()
    a[0] += 1e-6
    assert gap(a, b, b).worst == pytest.approx(1e-6)
    assert typical(b) == 1.0
    tiny = torch.tensor([1.0, 1.0, 1e-12], dtype=torch.float64)
    assert gap(tiny * 2 - torch.tensor([1.0, 1.0, 1e-12]).double(), tiny, tiny).worst == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("a", "b", "error"),
    [
        (math.nan, math.nan, 0.0),
        (math.inf, math.inf, 0.0),
        (math.inf, -math.inf, math.inf),
        (math.nan, 1.0, math.inf),
        (1.0, math.nan, math.inf),
        (math.inf, math.nan, math.inf),
    ],
)
def test_nan_and_infinity(a: float, b: float, error: float) -> None:
    left, right = (torch.tensor([1.0, value], dtype=torch.float64) for value in (a, b))
    assert gap(left, right, right).worst == error


def test_another_shape_or_dtype_is_infinitely_far() -> None:
    x = torch.ones(2, 3)
    assert gap(x, x.double(), x).worst == math.inf
    assert gap(x, x[:1], x).worst == math.inf
    assert gap([x], [x, x], x).worst == math.inf
    assert gap(3, 3, 3).worst == 0
    assert gap(3, 4, 4).worst == math.inf
    assert gap(True, 1, 1).worst == math.inf


def test_the_models_dtype_allows_its_own_error_and_no_more() -> None:
    reference = torch.linspace(1, 2, 1000, dtype=torch.float64)
    before = (reference * (1 + 1e-3)).float()
    assert tally(reference, before, (reference * (1 - 1e-3)).float()).model_holds(OPTIONS)
    assert not tally(reference, before, (reference * (1 - 5e-3)).float()).model_holds(OPTIONS)
    exact = reference.float()
    assert tally(reference, exact, exact * (1 + 2e-7)).model_holds(OPTIONS)
    assert not tally(reference, exact, exact * (1 + 2e-6)).model_holds(OPTIONS)


def test_what_overflows_before_may_be_anything_after_but_not_the_reverse() -> None:
    reference = torch.tensor([1.0, 70000.0], dtype=torch.float64)
    over = reference.half()
    assert over.isinf()[1]
    assert tally(reference, over, torch.tensor([1.0, 60000.0]).half()).model_holds(OPTIONS)
    fine = torch.tensor([1.0, 60000.0])
    assert not tally(fine.double(), fine.half(), torch.tensor([1.0, math.inf]).half()).model_holds(OPTIONS)


def test_integers_differ_only_where_the_program_does() -> None:
    reference = torch.arange(100)
    before = reference.clone()
    before[0] = 7
    after = before.clone()
    after[1:4] = 0
    assert tally(reference, before, after).model_holds(OPTIONS)
    assert not tally(reference, reference, after).model_holds(OPTIONS)


def test_values_that_say_nothing() -> None:
    assert vacuous(torch.tensor([math.nan, 0.0, math.inf]))
    assert not vacuous(torch.tensor([math.nan, 0.5]))
    assert not vacuous(torch.zeros(3, dtype=torch.int64))
    assert not vacuous(torch.zeros(0))


@pytest.mark.parametrize("shape", [(4, 2), (3, 5, 9), (2, 1, 7, 7)], ids=str)
def test_no_row_of_a_mask_is_of_one_kind(shape: tuple[int, ...]) -> None:
    for seed in range(20):
        values = mask(shape, generator(seed, "mask", CPU))
        assert values.any(-1).all()
        assert not values.all(-1).any()
        rows = mask(shape, generator(seed, "mask", CPU), rows=True)
        assert not rows[0].any()
        assert rows[-1].all()


class Drawn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(11, 8)
        self.head = nn.Linear(8, 11)
        self.head.weight = self.table.weight
        self.norm = nn.BatchNorm1d(11)
        self.scale = nn.Parameter(torch.ones(11))
        self.register_buffer("offsets", torch.tensor([3, 1, 2]))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        moved = self.table(tokens + 2) + self.table(self.offsets).sum(0)
        return self.norm(self.head(moved.sum(1))) * self.scale


@pytest.fixture(scope="module")
def drawn() -> Program:
    return captured(Drawn(), torch.zeros(3, 5, dtype=torch.int64))


def test_weights_stay_away_from_0_and_1(drawn: Program) -> None:
    assert drawn.exported is not None
    weights = Weights(drawn.exported, drawn.graph, (), 0, CPU)
    scale = weights.get("scale", double=True)
    assert scale.dtype == torch.float64
    assert (scale.abs() >= 0.5).all()
    assert (scale.abs() <= 1.5).all()
    assert (scale < 0).any()
    assert (weights.get("head.bias", double=False).abs() >= 0.1).all()
    assert (weights.get("norm.running_var", double=False) >= 0.5).all()
    assert (weights.get("norm.running_mean", double=False) != 0).all()
    assert weights.get("offsets", double=True).tolist() == [3, 1, 2]
    assert torch.equal(weights.get("scale", double=False).double(), scale)
    assert torch.equal(weights.get("table.weight", double=False), weights.get("head.weight", double=False))
    again = Weights(drawn.exported, drawn.graph, (), 0, CPU)
    assert torch.equal(again.get("scale", double=True), scale)
    assert not torch.equal(Weights(drawn.exported, drawn.graph, (), 1, CPU).get("scale", double=True), scale)


def test_indices_stay_inside_their_table_past_an_offset(drawn: Program) -> None:
    graph = drawn.graph.at(drawn.graph.symbols)
    assert index_range(graph, "tokens") == (2, 9)
    found = program_inputs(graph, 0, CPU)["tokens"]
    assert found.min() >= 2
    assert found.max() < 9


def test_inputs_by_what_they_are_called() -> None:
    def node(name: str, shape: tuple[int, ...], dtype: str) -> Node:
        return Node(name, "input", name, outputs=(TensorSpec(shape, (1,) * len(shape), dtype),))

    graph = Graph(
        (
            node("timestep", (9,), "int64"),
            node("time", (9,), "float32"),
            node("attention_mask", (4, 9), "int64"),
            node("additive_mask", (4, 9), "float16"),
            node("guidance", (9,), "float32"),
            node("flags", (9,), "bool"),
            node("sample", (4, 9), "bfloat16"),
            node("turns", (4, 9), "complex64"),
        ),
        (),
    )
    found = program_inputs(graph, 0, CPU)
    assert (found["timestep"] >= 1).all()
    assert (found["time"] >= 1).all()
    assert set(found["attention_mask"].unique().tolist()) == {0, 1}
    assert set(found["additive_mask"].unique().tolist()) == {0.0, 1.0}
    assert found["additive_mask"].dtype == torch.float16
    assert (found["guidance"] >= 0.5).all()
    assert 0 < int(found["flags"].sum()) < 9
    assert (found["sample"] < 0).any()
    assert found["turns"].dtype == torch.complex64


def graph_over(symbols: dict[str, int], guards: tuple[str, ...], ranges: dict[str, tuple[int, int | None]]) -> Graph:
    return Graph((), (), symbols, guards, ranges)


def test_bindings_are_small_inside_the_guards_and_differ_everywhere() -> None:
    symbols = {"x.d0": 2, "x.d2": 128, "x.d3": 96}
    ranges: dict[str, tuple[int, int | None]] = {"x.d0": (2, 4), "x.d2": (2, None), "x.d3": (2, None)}
    graph = graph_over(symbols, ("(x.d2) % 8 == 0", "(x.d3) % 8 == 0", "(x.d3) >= 16"), ranges)
    found = list(candidates(graph))
    assert found[0] == {"x.d0": 3, "x.d2": 8, "x.d3": 16}
    assert found[-1] == symbols
    assert all(found[1][symbol] not in (found[0][symbol], symbols[symbol]) for symbol in ("x.d2", "x.d3"))
    assert all(2 <= binding["x.d0"] <= 4 for binding in found)


def test_sizes_that_only_move_together() -> None:
    symbols = {"x.d0": 8, "y.d0": 8}
    ranges: dict[str, tuple[int, int | None]] = {"x.d0": (2, None), "y.d0": (2, None)}
    graph = graph_over(symbols, ("(x.d0) == (y.d0)",), ranges)
    first = next(iter(candidates(graph)))
    assert first["x.d0"] == first["y.d0"] != 8


def test_a_size_that_cannot_move() -> None:
    graph = graph_over({"x.d0": 8}, ("(x.d0) == 8",), {"x.d0": (2, None)})
    assert list(candidates(graph)) == [{"x.d0": 8}]


def test_names_of_a_tape_are_those_of_the_graph() -> None:
    class Inner(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                y = x.sin() + 1
            return (y.sin() + 1).view(x.shape[0], -1)

    program = captured(Inner(), torch.randn(3, 4))
    assert [call.name for call in tape(program).calls if call.size is None] == [n.name for n in program.graph.calls]


@pytest.mark.parametrize(("name", "value"), [("mode", "sideways"), ("bindings", 0), ("limit_bytes", 0)])
def test_options_out_of_range_are_refused(name: str, value: object) -> None:
    with pytest.raises(GraphlabError):
        VerifyOptions(**{name: value})  # type: ignore[arg-type]  # checked by running it


def test_constants_keep_their_numbers_or_get_some() -> None:
    kept = torch.tensor([0.0, 1.0])
    assert torch.equal(constant("c", kept, 0, CPU), kept)
    drawn = constant("c", kept.to("meta"), 0, CPU)
    assert ((drawn >= 0.5) & (drawn <= 1.5)).all()
    with pytest.raises(VerificationError, match="the constant c has no values"):
        constant("c", torch.zeros(2, dtype=torch.int64, device="meta"), 0, CPU)


def test_weights_of_complex_programs_are_widened() -> None:
    class Turn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.turn = nn.Parameter(torch.ones(4, dtype=torch.complex64))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.turn

    program = captured(Turn(), torch.ones(3, 4, dtype=torch.complex64))
    assert program.exported is not None
    found = Weights(program.exported, program.graph, (), 0, CPU)
    assert found.get("turn", double=True).dtype == torch.complex128
    assert found.get("turn", double=False).dtype == torch.complex64
    assert verify(program, program).complete
