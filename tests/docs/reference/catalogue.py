"""The blocks of docs/rewrites.md: for every rewriting pass its level, options, and a small graph before and after."""

from __future__ import annotations

import difflib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file

import graphlab
from graphlab.hoisting.stage_rewrite import StageRewrite
from graphlab.masks import write_mask
from graphlab.plugins import passes
from graphlab.program import Program
from graphlab.rewriting.attention.uses import is_assertion
from graphlab.rewriting.difference import line
from graphlab.rewriting.options import options_of
from graphlab.rewriting.pipeline import LEVELS
from graphlab.rewriting.result import RewriteResult
from graphlab.rewriting.rewrite import Rewrite
from tests.docs.reference import DOCS, code, prose
from tests.docs.reference.rewrite_examples import EXAMPLES, Example

NAME = "rewrites.md"
_BLOCK = "<!-- {0}: begin (python -m tests.docs.reference) -->\n{1}\n<!-- {0}: end -->"
_FOUND = re.compile(r"<!-- ([a-z-]+): begin \(python -m tests\.docs\.reference\) -->\n.*?\n<!-- \1: end -->", re.S)


def page() -> str:
    """docs/rewrites.md with every block written anew; KeyError for a pass that it has no block of."""
    text = (DOCS / NAME).read_text(encoding="utf-8")
    known = built_in()
    missing = sorted(known.keys() - set(_FOUND.findall(text)))
    if missing:
        raise KeyError(f"docs/{NAME} has no block of {', '.join(missing)}: copy the two comment lines of another pass")
    return _FOUND.sub(lambda found: _BLOCK.format(found[1], "\n".join(_block(found[1], known[found[1]]))), text)


def built_in() -> dict[str, type[Rewrite | StageRewrite]]:
    """{name: class} of the rewriting passes that come with graphlab."""
    found = {name: entry.value for name, entry in passes().items() if entry.owner.built_in}
    return {name: kind for name, kind in found.items() if issubclass(kind, Rewrite | StageRewrite)}


def _block(name: str, kind: type[Rewrite | StageRewrite]) -> Iterator[str]:
    yield f"{_level(name, kind)}. {_exactness(kind)}{'' if options_of(kind) else ' No options.'}"
    yield ""
    for item in options_of(kind):
        default = "must be given" if item.default is None else f"default {code(item.default)}"
        yield f"- option {code(item.name)}: {item.values}, {default}; {prose(item.help)}"
    if options_of(kind):
        yield ""
    yield "```diff"
    yield from _example(name)
    yield "```"


def _level(name: str, kind: type[Rewrite | StageRewrite]) -> str:
    if issubclass(kind, StageRewrite):
        return "`-O3`, or alone by `--pass`"
    levels = [f"`-O{level}`" for level, names in LEVELS.items() if name in names]
    return f"In {' and '.join(levels)}" if levels else "In no level"


def _exactness(kind: type[Rewrite | StageRewrite]) -> str:
    if issubclass(kind, Rewrite) and not kind.exact:
        return "Changes values, on purpose."
    return "Exact."


def _example(name: str) -> Iterator[str]:
    if name == "apply-weight-mask":
        return _masked(EXAMPLES["fuse-kv"])
    if name == "decompose-fused":
        return _changed(graphlab.run_pass("fuse-geglu", EXAMPLES["fuse-geglu"].program()).program, name)
    example = EXAMPLES[name]
    if example.options:
        return _parts(example.program(), f"{name},{example.options}")
    return _changed(example.program(), name)


def _changed(before: Program, spec: str) -> Iterator[str]:
    """Both graphs as one listing: `-` what is gone, `+` what is new, then the weights that are new."""
    result = graphlab.run_pass(spec, before)
    assert result.modified, f"{spec} changes nothing in its example"
    old, new = _listing(before), _listing(result.program)
    for tag, low, high, first, last in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            yield from (f"  {text}" for text in old[low:high])
            continue
        yield from (f"- {text}" for text in old[low:high])
        yield from (f"+ {text}" for text in new[first:last])
    yield from _weights(result)


def _weights(result: RewriteResult) -> Iterator[str]:
    for made in result.held:
        yield f"# new weight {made.key}, made of {', '.join(made.origins)}"


def _listing(program: Program) -> list[str]:
    """The calls of a program in order, one a line, but for what export asserts, and what it returns."""
    assert program.exported is not None
    nodes = program.exported.graph.nodes
    (output,) = (node for node in nodes if node.op == "output")
    results = ", ".join(str(item) for item in output.args[0])
    calls = [line(node) for node in nodes if node.op == "call_function" and not is_assertion(node)]
    return [*calls, f"return {results}"]


def _parts(program: Program, spec: str) -> Iterator[str]:
    """A program and what a stage rewrite made of it, a listing a part."""
    hoisted = graphlab.run_pass(spec, program).hoisted
    assert hoisted is not None
    yield f"# {spec}"
    yield from (f"- {text}" for text in _listing(program))
    for part, made in hoisted.programs:
        yield f"# {part}"
        yield from (f"+ {text}" for text in _listing(made))


def _masked(example: Example) -> Iterator[str]:
    """What an edit of two entries of a weight changes."""
    program = example.program()
    assert program.exported is not None
    state = {key: tensor.detach().clone() for key, tensor in program.exported.state_dict.items()}
    mask = torch.zeros(8, 8, dtype=torch.bool)
    mask[0, :2] = True
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "mask.safetensors"), Path(folder, "edited.safetensors")
        write_mask(files[0], {"k.weight": mask}, state)
        save_file({key: tensor + 1 if key.endswith("weight") else tensor for key, tensor in state.items()}, files[1])
        result = graphlab.run_pass("apply-weight-mask", program, mask=str(files[0]), weights=str(files[1]))
    yield "# apply-weight-mask,mask=mask.safetensors,weights=edited.safetensors"
    for row in dict(result.details)["apply-weight-mask"]:
        yield f"- {row.key}"
        yield f"+ where(mask, edited, {row.key}): {row.changed_entries} of {row.entries} entries changed"
