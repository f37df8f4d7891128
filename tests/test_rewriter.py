"""`run_pass` and `rewrite`: sources, levels, options, verification, what splits a stage; the catalogue of passes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch
from torch import nn

import graphlab
from graphlab.cli.main import main
from graphlab.errors import GraphlabError, UnknownNameError, UnsafeSourceError
from graphlab.hoisting.stage_rewrite import StageRewrite
from graphlab.passes_base import Analysis
from graphlab.plugins import find_pass
from graphlab.plugins import passes as installed
from graphlab.rewriter import chosen_passes, joined
from graphlab.rewriting.options import options_of
from graphlab.rewriting.pipeline import LEVELS
from graphlab.verification.result import VerifyOptions
from tests.rewriting.toys import Doubled, Named, Spelled, Swollen, calls, program, values

DOC = Path(__file__).parents[1] / "docs" / "rewrites.md"
REWRITES = sorted(name for name, entry in installed().items() if not issubclass(entry.value, Analysis))


def sections() -> dict[str, str]:
    parts = re.split(r"^### (\S+)$", DOC.read_text().split("\n## Verification")[0], flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_catalogue_holds_every_installed_rewrite_and_no_other() -> None:
    assert sorted(sections()) == REWRITES


@pytest.mark.parametrize("name", REWRITES)
def test_an_entry_says_before_after_what_stays_and_every_option(name: str) -> None:
    text = sections()[name]
    (shown,) = re.findall(r"^```diff\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    assert shown.startswith("- ") or "\n- " in shown
    assert any(word in text for word in ("Stays: ", "stay", "Refuses ", "cannot"))
    options = options_of(find_pass(name))
    assert all(f"`{item.name}`" in text for item in options)
    assert options or "No options." in text


def test_the_table_of_levels_is_the_levels() -> None:
    rows = dict(re.findall(r"^\| `-O(\d)` \| (.*) \|$", DOC.read_text(), flags=re.MULTILINE))
    listed = {level: re.findall(r"\b(?:drop|fold|fuse|eliminate)-[a-z-]+", text) for level, text in rows.items()}
    assert set(listed["1"]) == set(LEVELS[1])
    assert set(listed["1"] + listed["2"]) == set(LEVELS[2])
    assert "hoist-loop-invariants" in rows["3"]


def test_the_blocks_of_the_page_run(capsys: pytest.CaptureFixture[str]) -> None:
    shell, python = (re.findall(rf"^```{kind}\n(.*?)^```$", DOC.read_text(), re.M | re.S) for kind in ("sh", "python"))
    exec("\n".join(python), {})
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith(" True")
    assert said[1].startswith("drop-noops ")
    for line in "".join(shell).splitlines():
        assert main(shlex.split(line)[1:]) == 0


def test_a_pass_by_name_by_text_and_as_an_instance() -> None:
    before = program()
    for item, options in (("fold-constants", {"limit_mb": 1}), ("fold-constants,limit_mb=1", {})):
        assert not graphlab.run_pass(item, before, **options).modified
    assert calls(graphlab.run_pass(Spelled(), before).program) == ["linear.default", "clamp_min.default"]
    with pytest.raises(GraphlabError, match="pass spell-relu is built already"):
        graphlab.run_pass(Spelled(), before, share=1)


def test_run_pass_verifies() -> None:
    found = graphlab.run_pass(Spelled(), program(), verify=True).verification
    assert found is not None
    assert found.complete
    changed = graphlab.run_pass(Doubled(), program(), verify=True)
    assert changed.verification is None
    assert changed.base is changed.program


def test_an_analysis_is_no_rewrite() -> None:
    with pytest.raises(GraphlabError, match=r"pass 'cost' is no rewrite .analyses run under"):
        graphlab.run_pass("cost", program())
    with pytest.raises(UnknownNameError, match="no pass is called 'spell'"):
        graphlab.run_pass("spell", program())


def test_options_of_verification_reach_it() -> None:
    found = graphlab.rewrite(program(), 0, [Spelled()], verify=VerifyOptions(mode="regions")).verification
    assert found is not None
    assert found.mode == "regions"


class Stepped(nn.Module):
    """sample (batch, 8), text (batch, 8) to sample; the text is projected in every step."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.mix = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, sample: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        return self.mix(sample) * self.text(text).relu()


def test_a_stage_rewrite_is_hoisted_of_the_result() -> None:
    before = program(Stepped(), torch.randn(3, 8), torch.randn(3, 8))
    result = graphlab.run_pass("hoist-loop-invariants", before, invariant="text")
    assert result.program is before
    assert result.hoisted is not None
    assert result.modified
    assert [part for part, _ in result.hoisted.programs] == ["prologue", "step"]
    by_level = graphlab.rewrite(before, 3, verify=True)
    assert by_level.hoisted is not None
    assert not by_level.hoisted.modified
    named = graphlab.rewrite(before, 2, ["hoist-loop-invariants,invariant=text"], verify=True)
    assert named.verification is not None
    assert named.verification.complete
    assert named.hoisted is not None
    assert named.hoisted.verification is not None
    assert named.hoisted.verification.complete


def test_levels_and_names_make_the_list() -> None:
    assert chosen_passes(1, [Spelled()]).names == (*LEVELS[1], "spell-relu")
    assert chosen_passes(None, ["fuse-kv"]).names == ("fuse-kv",)
    third = chosen_passes(3, invariant=("a", "b"))
    assert third.names == (*LEVELS[2], "hoist-loop-invariants,invariant=a+b")
    assert isinstance(third.splits, StageRewrite)
    with pytest.raises(GraphlabError, match="would each split the stage"):
        chosen_passes(None, ["hoist-loop-invariants,invariant=a", "hoist-loop-invariants,invariant=b"])
    with pytest.raises(GraphlabError, match=r"there is no level -1 .levels: 0, 1, 2, 3"):
        chosen_passes(-1)


def test_a_source_with_several_stages_needs_one() -> None:
    with pytest.raises(UnknownNameError, match="has several stages"):
        graphlab.rewrite("stable-diffusion-v1-5-tiny")


def test_a_source_takes_bindings_and_stage() -> None:
    result = graphlab.rewrite("stable-diffusion-v1-5-tiny", 1, stage="text_encoder", dynamic=False, tokens=16)
    (node,) = result.program.graph.inputs
    assert node.out.shape == (1, 16)
    assert result.modified


def test_joined_results_speak_of_the_first_program() -> None:
    before = program()
    first = graphlab.run_pass(Swollen("_a"), before)
    second = graphlab.run_pass(Swollen("_b"), first.program)
    both = joined(first, second)
    assert [(made.key, made.intermediate) for made in both.new_tensors] == [
        ("linear.weight_a", True),
        ("linear.weight_a_b", False),
    ]
    assert both.dropped == ("linear.weight",)
    assert torch.equal(values(both.program), values(before))


def test_a_pass_finds_nothing_the_second_time_and_gives_the_same_twice() -> None:
    before = program()
    one, two = (graphlab.rewrite(before, 0, [Named(), Swollen()]) for _ in range(2))
    assert one.program.graph == two.program.graph
    assert one.changes == two.changes
    assert not graphlab.rewrite(one.program, 0, [Named(), Swollen()]).modified


def test_a_file_s_foreign_operators_are_run_for_their_user_only(tmp_path: Path) -> None:
    library = torch.library.Library("graphlab_test_rewriter", "DEF")
    library.define("twice(Tensor x) -> Tensor")
    library.impl("twice", lambda x: x * 2, "CompositeExplicitAutograd")
    library.impl("twice", lambda x: torch.empty_like(x), "Meta")

    class Twice(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            twice: torch.Tensor = torch.ops.graphlab_test_rewriter.twice(x * 1)
            return twice + 1

    program = graphlab.capture(Twice(), (torch.ones(2, 3),), dynamic=False)
    assert graphlab.rewrite(program, 1, verify=True).verification is not None
    path = tmp_path / "twice.pt2"
    torch.export.save(program.exported, path)
    assert graphlab.rewrite(path, 1).modified
    with pytest.raises(UnsafeSourceError, match="operator of the library 'graphlab_test_rewriter'; nothing was run"):
        graphlab.rewrite(path, 1, verify=True)
    assert graphlab.rewrite(path, 1, verify=True, trust_pickle=True).modified
