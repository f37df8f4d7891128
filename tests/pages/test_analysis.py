"""The page of an analysis: sums by module, what is drawn of a large stage, names that mean harm, a sound outline."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest

from graphlab.cli.main import main
from graphlab.pages.analysis import analysis_document
from graphlab.pages.calls_figure import MOST_CALLS, calls_figure
from graphlab.pages.growth_figure import growth_figure
from graphlab.pages.memory_figure import MOST_POINTS, memory_figure, peak_table
from graphlab.pages.module_figure import MOST_BOXES, module_figure
from graphlab.pages.module_sums import heaviest, module_sums
from graphlab.pages.module_tree import MOST_ROWS, module_tree
from graphlab.pages.roofline_figure import roofline_figure
from graphlab.pages.share_figures import categories_figure, stages_figure
from graphlab.report.data import StageReport
from graphlab.report.html import to_html
from graphlab.roofline import with_estimate
from tests.report.sample import DEVICE, HOSTILE, NODES, UNET, node, report
from tests.report.test_html import Element, Tree, walk

NAMES = (
    "</script><script>document.title='broken'</script>",
    "<img src=x onerror=\"document.title='broken'\">",
    "\u202egnp.exe \u2066 \u200f",
    "\"quotes\" 'and' `ticks` & &amp; \\u003c",
    "x" * 3000,
    "\u2028 \x00\x07 \ud800",
    "",
)


def stage() -> StageReport:
    return report().stages[0]


def hostile() -> StageReport:
    """Every name of a stage is one of NAMES."""
    rows = tuple(
        replace(node(f"{name}_{place}", f"op.{name}", "linear"), module=f"blocks.{name}.{name}", source=name)
        for place, name in enumerate(NAMES)
    )
    return replace(stage(), name=NAMES[0], nodes=rows, edges=(), peak_node=NAMES[2], notes=NAMES)


@cache
def page() -> Element:
    return Tree(to_html(analysis_document(report()))).root


def test_calls_without_a_rule_are_never_0_flop() -> None:
    figure = roofline_figure(stage())
    assert figure is not None
    (mystery,) = (row for row in figure.rows if row["op"] == "foo.bar.default")
    assert (mystery["flops"], mystery["intensity"], mystery["flop_per_s"], mystery["bound"]) == (None,) * 4
    assert any("1 groups without a rule" in note for note in figure.notes)
    shares = categories_figure(stage())
    assert "other" not in {row["category"] for row in shares.rows if row["measure"] == "all FLOP"}
    assert "convolution" in {row["category"] for row in shares.rows if row["measure"] == "all FLOP"}
    assert "other" in {row["category"] for row in shares.rows if row["measure"] == "materialized bytes"}
    assert shares.notes == ("all FLOP: without those of 1 calls that have no rule",)
    assert stages_figure(report()).notes == ("unet: FLOP without those of 1 calls that have no rule",)


def test_modules_hold_what_is_in_them() -> None:
    sums = {row.path: row for row in module_sums(stage())}
    assert sums[""].cost.nodes == len(NODES)
    assert sums[""].cost.flops == UNET.flops_per_step
    assert sums["blocks"].cost == sums["blocks.0"].cost == sums["blocks.0.attn"].cost
    assert sums["blocks.0.attn"].cost.nodes == 3
    assert sums["blocks.0.attn"].attention_flops == sums[""].attention_flops == 2_000
    assert sums[""].parameters == UNET.parameters == 1_234
    assert sums["blocks.0"].parameters == 1_034
    levels = [(row.path, row.level) for row in module_sums(stage())]
    assert levels[:4] == [("", 0), ("blocks", 1), ("blocks.0", 2), ("blocks.0.attn", 3)]


def test_the_tree_says_unknown_and_shares() -> None:
    tree = module_tree(replace(stage(), nodes=NODES))
    cells = {row.name: dict(zip(tree.headings[1:], row.cells, strict=True)) for row in tree.rows}
    assert cells["unet"]["FLOP"] == "42 k+"
    assert cells["norm"]["FLOP"] == "0"
    assert cells["attn"]["share"] == "4.8 %"
    only = module_tree(replace(stage(), nodes=NODES[-1:], modules=()))
    assert dict(zip(only.headings[1:], only.rows[0].cells, strict=True))["FLOP"] == "unknown"


def test_boxes_stand_below_the_module_they_are_in() -> None:
    figure = module_figure(stage())
    assert {row["measure"] for row in figure.rows} == {
        "ideal time", "FLOP", "materialized bytes", "parameters", "attention FLOP",
    }  # fmt: skip
    for measure in ("FLOP", "materialized bytes", "parameters"):
        boxes = {str(row["module"]): row for row in figure.rows if row["measure"] == measure}
        assert (boxes["unet"]["share_from"], boxes["unet"]["share_to"]) == (0.0, 1.0)
        for path, box in boxes.items():
            parent = boxes.get(path.rpartition(".")[0] or "unet")
            if path != "unet" and parent is not None:
                assert parent["share_from"] <= box["share_from"] < box["share_to"] <= parent["share_to"] + 1e-12


def wide(count: int) -> StageReport:
    """A stage of `count` blocks with a convolution of equal cost in each."""
    rows = tuple(
        node(f"conv_{i}", "aten.conv2d.default", "convolution", module=f"blocks.{i}.conv") for i in range(count)
    )
    return replace(stage(), nodes=rows, modules=(), at_peak=(), attention=())


def test_a_stage_too_large_is_collapsed_and_says_so() -> None:
    large = wide(MOST_ROWS)
    tree = module_tree(large)
    assert len(tree.rows) == MOST_ROWS
    assert f"draw whole: the {MOST_ROWS:,} of {2 * MOST_ROWS + 2:,} modules with the most FLOP" in tree.note
    assert tree.rows[0].cells[1] == f"{MOST_ROWS:,}"
    assert "too large" not in module_tree(wide(20)).note
    figure = module_figure(wide(MOST_BOXES))
    assert "too large to draw whole" in figure.notes[0]
    assert len([row for row in figure.rows if row["measure"] == "FLOP"]) == MOST_BOXES
    assert "modules have less than 0.1%" in module_figure(wide(1001)).notes[0]


@pytest.mark.parametrize("most", range(1, 13))
def test_what_is_kept_of_a_tree_is_a_tree(most: int) -> None:
    kept = heaviest(module_sums(wide(5)), most, lambda row: row.cost.flops, lambda row: row.level)
    assert len(kept) == most
    paths = {row.path for row in kept}
    assert all(row.path.rpartition(".")[0] in paths for row in kept)


def test_the_memory_line_keeps_the_peak_of_many_calls() -> None:
    rows = tuple(replace(NODES[0], name=f"n{i}") for i in range(2 * MOST_POINTS))
    assert NODES[0].live is not None
    rows = (*rows[:-1], replace(rows[-1], live=replace(NODES[0].live, fused=9_999)))
    figure = memory_figure(replace(stage(), nodes=rows))
    assert len(figure.rows) == MOST_POINTS
    assert figure.rows[-1]["fused"] == 9_999
    assert figure.notes == ("each point is the fullest of 2 calls in a row",)
    unknown = memory_figure(replace(stage(), nodes=(replace(NODES[0], live=None),)))
    assert unknown.chart is None
    assert "does not say" in unknown.notes[0]


def test_what_is_alive_at_the_peak_adds_up() -> None:
    table = peak_table(stage())
    assert table is not None
    assert sum(tensor.nbytes for tensor in UNET.at_peak) == UNET.peak_activation_bytes.fused
    assert [row[-1] for row in table.rows] == ["75.0 %", "25.0 %"]
    assert peak_table(replace(stage(), at_peak=())) is None


def test_the_roofline_counts_an_attention_once() -> None:
    figure = roofline_figure(stage())
    assert figure is not None
    (site,) = [row for row in figure.rows if row["category"] == "attention"]
    assert (site["calls"], site["flops"], site["bytes"]) == (1, 2_000, UNET.attention[0].bytes_fused)
    ridge = [row for row in figure.rows if row["kind"] == "roof"][1]
    estimate = stage().estimate
    assert estimate is not None
    assert ridge["intensity"] == estimate.ridge
    assert ridge["flop_per_s"] == pytest.approx(estimate.peak)
    seconds = sum(float(row["seconds"] or 0) for row in figure.rows)
    assert seconds == pytest.approx(estimate.seconds)
    assert roofline_figure(UNET) is None


def test_growth_is_read_off_the_expression() -> None:
    figure = growth_figure(stage())
    assert figure is not None
    here = 10 * 64 * 64 + 1040
    found = {(row["axis"], row["factor"]): row["flops"] for row in figure.rows}
    assert found["height", 2.0] == 10 * 128 * 64 + 1040
    assert found["image_side", 2.0] == 10 * 128 * 128 + 1040
    assert {row["relative"] for row in figure.rows if row["factor"] == 1.0} == {1.0}
    assert found["height", 1.0] == here
    assert growth_figure(replace(stage(), scaling=())) is None


def test_a_list_of_calls_is_cut_by_cost() -> None:
    rows = tuple(replace(NODES[0], name=f"n{i}", seconds=float(i)) for i in range(MOST_CALLS + 5))
    figure = calls_figure(replace(stage(), nodes=rows))
    assert [row["node"] for row in figure.rows][:2] == ["n5", "n6"]
    assert f"{MOST_CALLS:,} of {MOST_CALLS + 5:,}" in figure.notes[0]


def test_names_that_mean_harm_are_text() -> None:
    bad = replace(report(), stages=(hostile(),), workload=NAMES[1], source=NAMES[2], assumptions=NAMES)
    text = to_html(analysis_document(bad))
    text.encode("utf-8")
    root = Tree(text).root
    assert not [image for image in root.all("img") if "onerror" in image.attributes]
    assert len([script for script in root.all("script") if script.attributes["type"] == "module"]) == 2
    assert not re.search("[\u202e\u2066\u200f\u2028\x00\x07]", text)
    shown = root.all("header")[0].text
    assert "<img src=x" in shown
    assert "\\u202egnp.exe" in shown
    names = [element.attributes["id"] for element in walk(root) if "id" in element.attributes]
    assert len(names) == len(set(names))


def test_headings_are_in_order_and_nothing_is_without_a_name() -> None:
    root = page()
    levels = [int(element.tag[1]) for element in walk(root) if re.fullmatch("h[1-6]", element.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert root.all("html")[0].attributes["lang"] == "en"
    assert [len(root.all(tag)) for tag in ("header", "nav", "main")] == [1, 1, 1]
    assert all(heading.attributes.get("scope") in ("col", "row") for heading in root.all("th"))
    for element in walk(root):
        if element.attributes.get("tabindex") == "0":
            assert element.attributes.get("aria-label")
    names = {str(element.attributes["id"]) for element in walk(root) if "id" in element.attributes}
    links = [str(link.attributes["href"])[1:] for link in root.all("a")]
    assert set(links) <= names


def test_every_chart_has_words_and_a_table() -> None:
    for figure in page().all("figure"):
        charts = [e for e in figure.all("div") if e.attributes.get("class") == "chart"]
        if charts:
            assert len(str(charts[0].attributes["aria-label"])) > 30
            assert figure.all("img")[0].attributes["alt"]
        assert len(figure.all("table")) == 1


def test_the_same_report_gives_the_same_bytes() -> None:
    small = replace(report(), stages=report().stages[1:])
    assert to_html(analysis_document(small)) == to_html(analysis_document(small))
    assert HOSTILE.replace("\x1b", "") not in to_html(analysis_document(small))


def test_the_command_writes_the_page(tmp_path: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyze", "stable-diffusion-v1-5-tiny", "--static", "--stage", "text_encoder", "--html", "-"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("<!doctype html>")
    assert "text_encoder: modules" in printed.out
    assert "Stages" in printed.err


def test_amounts_have_units_and_marks() -> None:
    amounts = {(row["measure"], row["category"]): row["amount"] for row in categories_figure(stage()).rows}
    assert amounts["all FLOP", "convolution"] == "40 kFLOP"
    assert amounts["materialized bytes", "other"] == "300 B"
    assert amounts["ideal time", "other"] == "3 s+"
    assert amounts["ideal time", "convolution"] == "4 s"
    whole = {row["measure"]: row["amount"] for row in stages_figure(report()).rows if row["stage"] == "unet"}
    assert whole == {"FLOP": "4.2 MFLOP+", "fused bytes": "136.7 KiB", "ideal time": whole["ideal time"]}
    assert str(whole["ideal time"]).endswith(" s+")


def test_a_module_of_unknown_flop_has_no_box_and_that_is_said() -> None:
    alone = replace(NODES[-1], module="odd", module_class="Odd")
    figure = module_figure(replace(stage(), nodes=(*NODES[:-1], alone)))
    (note,) = (note for note in figure.notes if note.startswith("FLOP:"))
    assert "the FLOP of 1 of " in note
    assert "unknown: they have no box; without those of 1 calls" in note
    boxes = {row["module"]: row["amount"] for row in figure.rows if row["measure"] == "FLOP"}
    assert "odd" not in boxes
    assert boxes["unet"] == "42 kFLOP+"


def test_the_bound_of_a_group_is_that_of_the_peak_it_runs_at() -> None:
    """Pointwise work of a float16 stage runs at the float32 peak: it is arithmetic that bounds it left of the ridge."""
    work = replace(NODES[1], pointwise_flops=5_000)
    timed = with_estimate(replace(UNET, nodes=(work,), attention=()), {}, DEVICE)
    figure = roofline_figure(timed)
    assert figure is not None
    (row,) = (row for row in figure.rows if row["kind"] == "calls")
    assert timed.estimate is not None
    assert (row["seconds"], row["bound"]) == (5.0, "compute")
    assert float(row["intensity"] or 0) < timed.estimate.ridge


def test_a_stage_with_open_sizes_and_no_known_flop_is_not_called_fixed() -> None:
    unknown = replace(stage(), flops_per_step=None, flops_expression=None, scaling=(), nodes=NODES[-1:])
    growth = next(
        s for s in analysis_document(report(device=False, stages=(unknown,))).sections if s.heading == "unet: growth"
    )
    assert not any("Every size is fixed" in line for line in growth.paragraphs)
    assert growth.listings[0].lines[0] == "FLOP = unknown"
