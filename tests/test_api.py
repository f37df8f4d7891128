"""The report as a whole: sums, the graph for networkx, fit, and what the JSON promises."""

from __future__ import annotations

import networkx as nx
import pytest

import graphlab
from graphlab.errors import BindingError, OpRuleError, UnknownNameError
from graphlab.ops.rule import TABLE
from graphlab.symbolic import evaluate_text


@pytest.fixture(scope="module")
def report() -> graphlab.AnalysisReport:
    return graphlab.analyze("llama-2-7b-tiny", "a100-80gb", tokens=24, new_tokens=5)


REQUIRED = {
    "name", "steps", "calls_per_step", "batch", "dtype", "parameters", "flops_per_step", "pointwise_flops_per_step",
    "flops_total", "bytes_per_step", "peak_activation_bytes", "symbols", "flops_expression", "categories", "roles",
    "attention", "unknown", "estimate",
}  # fmt: skip
ATTENTION = {
    "node", "kind", "axis", "causal", "fused", "batch", "heads", "q_tokens", "kv_tokens", "head_dim",
    "q_tokens_expression", "kv_tokens_expression", "flops",
}  # fmt: skip


def test_the_json_holds_what_is_promised(report: graphlab.AnalysisReport) -> None:
    data = report.to_dict()
    assert {"schema", "source", "device", "assumptions", "stages", "totals"} <= set(data)
    for stage in data["stages"]:
        assert set(stage) >= REQUIRED
        assert set(stage["bytes_per_step"]) == {"materialized", "fused"}
        assert all(set(group) >= {"nodes", "flops", "bytes"} for group in stage["categories"].values())
        assert all(set(row) >= ATTENTION for row in stage["attention"])
        assert set(stage["estimate"]) >= {"seconds", "bound", "intensity"}


def test_two_views_add_up_to_the_same_total(report: graphlab.AnalysisReport) -> None:
    for stage in report.stages:
        for view in (stage.categories, stage.roles, stage.by("op"), stage.by("module")):
            assert sum(group.flops for group in view.values()) == stage.flops_per_step
            assert sum(group.pointwise_flops for group in view.values()) == stage.pointwise_flops_per_step
            assert sum(group.nodes for group in view.values()) == len(stage.nodes)
            assert sum(group.bytes for group in view.values()) == stage.bytes_per_step.materialized


def test_expressions_are_the_numbers(report: graphlab.AnalysisReport) -> None:
    for stage in report.stages:
        assert evaluate_text(stage.flops_expression, stage.symbols) == stage.flops_per_step
        for kind in ("materialized", "fused"):
            assert evaluate_text(stage.bytes_expression[kind], stage.symbols) == getattr(stage.bytes_per_step, kind)
        for row in stage.attention:
            assert evaluate_text(row.q_tokens_expression, stage.symbols) == row.q_tokens
            assert evaluate_text(row.kv_tokens_expression, stage.symbols) == row.kv_tokens


def test_decode_steps_are_summed_at_their_own_cache_length(report: graphlab.AnalysisReport) -> None:
    single = [
        graphlab.analyze("llama-2-7b-tiny", stage="decode", tokens=24 + step, new_tokens=1).stages[0].flops_per_step
        for step in range(5)
    ]
    assert report.stage("decode").flops_total == sum(single)
    assert len(set(single)) == 5


def test_networkx_gets_the_facts(report: graphlab.AnalysisReport) -> None:
    stage = report.stage("prefill")
    graph = report.to_networkx("prefill")
    row = next(row for row in stage.nodes if row.attention)
    assert graph.nodes[row.name]["flops"] == row.flops
    assert graph.nodes[row.name]["role"] == "attention_core"
    assert nx.is_directed_acyclic_graph(graph)
    assert "input_ids" in nx.ancestors(graph, row.name)
    kinds = {name: kind for name, kind in graph.nodes(data="kind") if kind != "call"}
    assert {name for name, kind in kinds.items() if kind == "input"} <= {item.name for item in stage.inputs}
    assert sum(kind == "weight" for kind in kinds.values()) > 10
    path = nx.dag_longest_path(graph, weight="weight")
    assert len(path) > 10
    whole = report.to_networkx()
    assert f"prefill/{row.name}" in whole
    assert f"decode/{report.stage('decode').nodes[0].name}" in whole


def test_shared_weights_are_held_once(report: graphlab.AnalysisReport) -> None:
    prefill, decode = report.stages
    assert prefill.parameters == decode.parameters == report.totals["parameters"]
    assert report.fit is not None
    assert report.fit.weights_bytes == sum(prefill.weight_bytes.values())


def test_the_largest_batch_fits_and_one_more_does_not() -> None:
    from dataclasses import replace

    from graphlab.hardware import load_device

    small = replace(load_device("l4"), memory_bytes=3_000_000)
    report = graphlab.analyze("llama-2-7b-tiny", small, tokens=24, new_tokens=5)
    assert report.fit is not None
    most = report.fit.largest_batch
    assert most is not None
    assert most > 1

    def need(batch: int) -> int:
        fit = graphlab.analyze("llama-2-7b-tiny", small, tokens=24, new_tokens=5, batch=batch).fit
        assert fit is not None
        return fit.weights_bytes + fit.activation_bytes + fit.cache_bytes

    assert need(most) <= small.memory_bytes < need(most + 1)


def test_an_op_without_a_rule_is_listed_with_its_share_and_an_error_when_strict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(TABLE, "aten.silu.default", None)  # in its place: deleting would move it to the end
    stage = graphlab.analyze("llama-2-7b-tiny", stage="prefill", tokens=24).stages[0]
    (unknown,) = stage.unknown
    assert (unknown.op, unknown.nodes, unknown.share) == ("aten.silu.default", 2, 2 / len(stage.nodes))
    assert all(row.flops is None for row in stage.nodes if row.op == "aten.silu.default")
    with pytest.raises(OpRuleError, match=r"aten\.silu\.default \(2\)"):
        graphlab.analyze("llama-2-7b-tiny", stage="prefill", tokens=24, strict=True)


def test_wrong_names_and_values_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'decode'"):
        graphlab.analyze("llama-2-7b-tiny", stage="decod")
    with pytest.raises(BindingError, match="valid names"):
        graphlab.analyze("llama-2-7b-tiny", height=512)
    with pytest.raises(BindingError, match="impossible"):
        graphlab.analyze("llama-2-7b-tiny", tokens=0)
    with pytest.raises(UnknownNameError, match="h100-sxm"):
        graphlab.analyze("llama-2-7b-tiny", "h100-sxn")


def test_progress_names_each_stage() -> None:
    seen: list[str] = []
    graphlab.analyze("llama-2-7b-tiny", progress=seen.append, tokens=24, new_tokens=1)
    assert seen == ["prefill", "decode"]
