"""The corpus itself: enough of both kinds, every name once, every module exports and runs as it was written."""

from __future__ import annotations

import pytest
import torch
from torch.export import ExportedProgram

from graphlab.sources.module import capture
from tests.attention_corpus import FAMILIES, Spelling, corpus
from tests.attention_corpus.generate import random_near_miss, random_spelling

CORPUS = corpus()
FUSED = torch.ops.aten.scaled_dot_product_attention.default
BY_NAME = pytest.mark.parametrize("entry", CORPUS, ids=lambda entry: entry.name)


def exported(entry: Spelling, *, dynamic: bool = False) -> ExportedProgram:
    """torch's program of `entry`."""
    program = capture(entry.module(), entry.inputs(), dynamic="auto" if dynamic else False).exported
    assert program is not None
    return program


def flat(result: object) -> list[torch.Tensor]:
    return torch.utils._pytree.tree_leaves(result)


def run(module: torch.nn.Module, entry: Spelling) -> list[torch.Tensor]:
    """The results for the entry's inputs; what is drawn inside is drawn from the same seed."""
    torch.manual_seed(0)
    with torch.no_grad():
        return flat(module(*entry.inputs()))


def test_enough_of_both_kinds() -> None:
    assert sum(entry.attentions > 0 and not entry.either for entry in CORPUS) >= 70
    assert sum(entry.attentions == 0 and not entry.either for entry in CORPUS) >= 35
    assert {f"inductor_{number}" for number in range(1, 31)} <= {entry.name for entry in CORPUS}


def test_names_are_unique_and_families_known() -> None:
    assert len({entry.name for entry in CORPUS}) == len(CORPUS)
    assert {entry.family.replace(" ", "_") for entry in CORPUS} == set(FAMILIES)


def test_every_call_draws_the_same() -> None:
    for entry in CORPUS:
        one, two = entry.inputs(), entry.inputs()
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True)), entry.name


@BY_NAME
def test_exports_as_written(entry: Spelling) -> None:
    program = exported(entry)
    assert not any(node.target is FUSED for node in program.graph.nodes), "fused before anything fused it"
    for got, want in zip(run(program.module(), entry), run(entry.module(), entry), strict=True):
        torch.testing.assert_close(got, want, equal_nan=True)


@pytest.mark.slow
@pytest.mark.parametrize("entry", [entry for entry in CORPUS if entry.dynamic], ids=lambda entry: entry.name)
def test_exports_with_symbolic_sizes(entry: Spelling) -> None:
    places = exported(entry, dynamic=True).graph.find_nodes(op="placeholder")
    values = [node.meta["val"] for node in places]
    assert any(isinstance(size, torch.SymInt) for value in values for size in value.shape)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("make", [random_spelling, random_near_miss], ids=["spelling", "near_miss"])
def test_generated_ones_export_and_repeat(make: object, seed: int) -> None:
    assert callable(make)
    one, two = make(seed), make(seed)
    assert (one.name, one.attentions, one.either) == (two.name, two.attentions, two.either)
    results = run(one.module(), one)
    assert all(torch.equal(a, b) for a, b in zip(results, run(two.module(), two), strict=True))
    for got, want in zip(run(exported(one).module(), one), results, strict=True):
        torch.testing.assert_close(got, want)
    assert all(value.isfinite().all() for value in results)
