"""`run_pass` and `rewrite`: one pass over a program, or a level of passes over a source."""

from __future__ import annotations

from collections.abc import Sequence

from graphlab.errors import GraphlabError
from graphlab.plugins import find_pass
from graphlab.program import Program
from graphlab.rewriting.options import build, pass_from
from graphlab.rewriting.pipeline import LEVELS, level_passes, rewrite_from, run_passes
from graphlab.rewriting.result import RewriteResult
from graphlab.rewriting.rewrite import Rewrite


def run_pass(item: str | Rewrite, program: Program, **options: object) -> RewriteResult:
    """`program` after the pass `item`, by name ("fuse-attention", "fuse-attention,masked_rows=trust") or instance.

    `options` are the pass' fields. The program given stays as it is and shares its weights with the result.
    UnknownNameError suggests the nearest pass or option, OptionError says what values an option takes.
    """
    if isinstance(item, Rewrite):
        if options:
            raise GraphlabError(f"pass {item.name} is built already: options go into its constructor")
        return item.run(program)
    built = build(find_pass(item), options) if options else pass_from(item)
    if not isinstance(built, Rewrite):
        rewrite_from(item)  # says what it is instead
    assert isinstance(built, Rewrite)
    return built.run(program)


def rewrite(program: Program, level: int = 2, passes: Sequence[str | Rewrite] = ()) -> RewriteResult:
    """`program` after the passes of -O`level`, then `passes` in order, repeated until nothing changes."""
    if level not in LEVELS:
        raise GraphlabError(f"there is no level {level}", hint=f"levels: {', '.join(map(str, LEVELS))}")
    named = [rewrite_from(item) if isinstance(item, str) else item for item in passes]
    return run_passes(program, [*level_passes(level), *named])
