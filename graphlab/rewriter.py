"""`run_pass` and `rewrite`: one pass over a program, or a level of passes over a stage of a source."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from graphlab.api import Source, one_stage, workload_of
from graphlab.discovery.blame import blamed
from graphlab.errors import GraphlabError
from graphlab.hoisting.result import HoistResult
from graphlab.hoisting.stage_rewrite import StageResult, StageRewrite
from graphlab.hoisting.verify import verify_split
from graphlab.measuring.stage import refuse_foreign
from graphlab.passes_base import Pass
from graphlab.plugins import PluginError, called, find_pass, own_pass
from graphlab.program import Program
from graphlab.reuse.result import ReuseResult
from graphlab.reuse.verify import measure
from graphlab.rewriting.new_tensor import NewTensor, needed
from graphlab.rewriting.options import build, pass_from, spelled
from graphlab.rewriting.pipeline import LEVELS, level_passes, rewrite_from, run_passes
from graphlab.rewriting.result import RewriteResult
from graphlab.rewriting.rewrite import Rewrite
from graphlab.sources.stage import program_for
from graphlab.verification.result import Verification, VerifyOptions
from graphlab.verification.verify import verify as compare
from graphlab.workload import Workload

Verify = bool | VerifyOptions


@dataclass(frozen=True, slots=True)
class Chosen:
    """The passes to run: rewrites to a fixed point, then perhaps one that splits the stage; `level` is that of -O."""

    level: int | None
    rewrites: tuple[Rewrite, ...]
    splits: StageRewrite | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The passes in order, as one would write them."""
        last = (self.splits,) if self.splits is not None else ()
        return tuple(map(spelled, (*self.rewrites, *last)))

    @property
    def approximate(self) -> tuple[str, ...]:
        """Those of them that approximate, as one would write them."""
        return (spelled(self.splits),) if self.splits is not None and not self.splits.exact else ()


def run_pass(
    item: str | Rewrite | StageRewrite, program: Program, verify: Verify = False, **options: object
) -> RewriteResult:
    """`program` after the pass `item`, by name ("fuse-attention", "fuse-attention,masked_rows=trust") or instance.

    `options` are the pass' fields. The program given stays as it is and shares its weights with the result. `verify`
    compares both, as `rewrite` does. What a stage rewrite makes is `hoisted` of the result (`reused` where it
    approximates); its `program` is then the one given. UnknownNameError suggests the nearest pass or option,
    OptionError says what values an option takes, VerificationError names the pass and the node that changed a value,
    or the part of a split that does.
    """
    if isinstance(item, str):
        built: Pass = build(find_pass(item), options) if options else pass_from(item)
    elif options:
        raise GraphlabError(f"pass {item.name} is built already: options go into its constructor")
    else:
        built = item
    if isinstance(built, StageRewrite):
        return _split(RewriteResult(program), built, lambda: built.run(program), verify)
    if not isinstance(built, Rewrite):
        raise _no_rewrite(built)
    with blamed(called(built), hint="the program is unchanged"):
        result = built.run(program)
    if not isinstance(result, RewriteResult):
        raise _unusable(built, result, "RewriteResult")
    return verified(program, result, [built], verify)


def rewrite(
    source: Source,
    level: int = 2,
    passes: Sequence[str | Rewrite | StageRewrite] = (),
    stage: str | None = None,
    verify: Verify = False,
    *,
    dynamic: bool = True,
    config: str | os.PathLike[str] | None = None,
    trust_pickle: bool = False,
    inputs: Mapping[str, str] | None = None,
    **bindings: int | float,
) -> RewriteResult:
    """A stage of `source` after the passes of -O`level`, then `passes` in order, repeated until nothing changes.

    A source with several stages needs `stage`. The other options are those of `analyze`; a Program is rewritten as it
    is, whatever the bindings. `verify` compares before and after (`graphlab.verification.verify`; a VerifyOptions
    says how) and raises VerificationError, naming pass and node, when they differ; the outcome is `verification`.
    Passes that mean to change values (`exact = False`) run first; what is compared starts after them. Level 3 also
    splits the stage over its loop: `hoisted` of the result, whose parts `verify` compares with what was split. A stage
    rewrite that approximates gives `reused`, for which `verify` measures the difference (`reused.drift`).
    GraphlabError for a program without torch's program behind it, passes that undo each other, and a pass that fails.
    """
    chosen = chosen_passes(level, passes)
    if isinstance(source, Program):
        return rewrite_program(source, chosen, verify)
    workload = workload_of(source, bindings, config, trust_pickle, inputs, dynamic)
    return rewrite_stage(workload, one_stage(workload, stage), chosen, verify, dynamic=dynamic, trusted=trust_pickle)[1]


def chosen_passes(
    level: int | None, passes: Sequence[str | Rewrite | StageRewrite] = (), **options: Sequence[str]
) -> Chosen:
    """The passes of -O`level` (none for None), then `passes`, by name or instance.

    `options` are those of the stage rewrite -O3 adds (`invariant`, `schedule`). GraphlabError for a level there is
    none of, an analysis, or more than one stage rewrite.
    """
    if level is not None and level not in LEVELS and level != SPLITTING:
        levels = ", ".join(map(str, (*LEVELS, SPLITTING)))
        raise GraphlabError(f"there is no level {level}", hint=f"levels: {levels}")
    named = [pass_from(item) if isinstance(item, str) else item for item in passes]
    wrong = next((item for item in named if not isinstance(item, (Rewrite, StageRewrite))), None)
    if wrong is not None:
        raise _no_rewrite(wrong)
    rewrites = [item for item in named if isinstance(item, Rewrite)]
    splits = [item for item in named if isinstance(item, StageRewrite)]
    if level == SPLITTING and not splits:
        splits = [_splitting(options)]
    elif any(options.values()):
        raise GraphlabError(
            "no level splits the stage, so nothing asks for the roles of its inputs",
            hint="use -O3, or give the pass its own: hoist-loop-invariants,invariant=A+B,schedule=T",
        )
    if len(splits) > 1:
        raise GraphlabError(f"{' and '.join(spelled(item) for item in splits)} would each split the stage")
    most = level_passes(min(level, max(LEVELS))) if level is not None else ()
    return Chosen(level, (*most, *rewrites), splits[0] if splits else None)


def rewrites(names: Sequence[str]) -> tuple[Rewrite, ...]:
    """The rewrites of these names."""
    return tuple(rewrite_from(name) for name in names)


SPLITTING = 3
"""The level that has the passes of the one below it and then splits the stage over its loop."""


def _splitting(options: Mapping[str, Sequence[str]]) -> StageRewrite:
    given = {name: tuple(value) for name, value in options.items() if value}
    found = build(own_pass("hoist-loop-invariants"), given)
    assert isinstance(found, StageRewrite)
    return found


def _no_rewrite(item: Pass) -> GraphlabError:
    return GraphlabError(f"pass {item.name!r} is no rewrite", hint="analyses run under `graphlab analyze`")


def rewrite_stage(
    workload: Workload,
    name: str,
    chosen: Chosen,
    verify: Verify = False,
    *,
    dynamic: bool = True,
    last: Sequence[Rewrite] = (),
    trusted: bool = False,
) -> tuple[Program, RewriteResult]:
    """(capture of the stage `name` of `workload`, its rewrite by `chosen`, then once by `last`).

    A program from a file is only run, which verifying does, if its operators are torch's own or it is `trusted`.
    """
    before = stage_program(workload, name, dynamic=dynamic)
    if verify and workload.stage(name).program is not None and not trusted:
        refuse_foreign(before)  # verification runs it
    return before, rewrite_captured(workload, name, before, chosen, verify, dynamic=dynamic, last=last)


def rewrite_captured(
    workload: Workload,
    name: str,
    program: Program,
    chosen: Chosen,
    verify: Verify = False,
    *,
    dynamic: bool = True,
    last: Sequence[Rewrite] = (),
) -> RewriteResult:
    """`rewrite_stage` of the capture `program` of that stage."""
    if chosen.splits is None or workload.stage(name).program is not None:  # a bare program has no loop around it
        return rewrite_program(program, chosen, verify, last=last)
    result = rewrite_program(program, replace(chosen, splits=None), verify, last=last)
    splits = chosen.splits
    return _split(result, splits, lambda: splits.run_stage(workload, name, result.program, dynamic=dynamic), verify)


def stage_program(workload: Workload, name: str, *, dynamic: bool = True) -> Program:
    """The stage `name` of `workload` captured at the bindings of its first step, not from the cache: with its program.

    GraphlabError for a source, such as TorchScript, whose capture has none.
    """
    stage = workload.running(name)
    program = program_for(stage, workload.step_values(stage, 0), dynamic=dynamic, disk=False)
    if program.exported is None:
        raise GraphlabError(
            f"{workload.source} has no exported program to rewrite", hint="export it with torch.export.save"
        )
    return program


def rewrite_program(
    program: Program, chosen: Chosen, verify: Verify = False, *, last: Sequence[Rewrite] = ()
) -> RewriteResult:
    """`program` after `chosen`: what means to change values once, then the others until nothing changes, then `last`.

    `last` run once, such as decompose-fused for a file that is to load without graphlab.
    """
    inexact = [item for item in chosen.rewrites if not item.exact]
    exact = [item for item in chosen.rewrites if item.exact]
    first = run_passes(program, inexact) if inexact else None
    start = program if first is None else first.program
    result = verified(start, run_passes(start, exact, last=last), exact, verify)
    if first is not None:
        result = joined(first, replace(result, base=start))
    splits = chosen.splits
    if splits is None:
        return result
    return _split(result, splits, lambda: splits.run(result.program), verify)


def parts_of(item: StageRewrite, run: Callable[[], StageResult]) -> StageResult:
    """What `run` of the pass `item` returns; PluginError, naming it, for whatever it raises and for anything else.

    A pass that approximates returns a ReuseResult and says so; one that says it is exact never does.
    """
    with blamed(called(item), hint="the program is unchanged"):
        made = run()
    if isinstance(made, ReuseResult) and item.exact:
        raise PluginError(f"{called(item)} reuses features and does not say so", hint="it needs exact = False")
    if not isinstance(made, HoistResult if item.exact else ReuseResult):
        raise _unusable(item, made, "HoistResult" if item.exact else "ReuseResult, since its exact is False")
    programs = {"program": made.program} if isinstance(made, ReuseResult) else {"step": made.step}
    for part, program in (*programs.items(), *made.programs):
        if not isinstance(program, Program) or program.exported is None:
            what = "program without torch's behind it" if isinstance(program, Program) else type(program).__name__
            raise PluginError(f"{called(item)} returned a {what} for the {part}, expected a Program")
    return made


def _unusable(item: Pass, result: object, expected: str) -> PluginError:
    return PluginError(f"{called(item)} returned a {type(result).__name__}, expected a {expected}")


def _split(result: RewriteResult, by: StageRewrite, run: Callable[[], StageResult], verify: Verify) -> RewriteResult:
    """`result` with what `run` of `by` makes of its program, and the account of both.

    VerificationError where the parts are wrong.
    """
    start = time.perf_counter()
    made = parts_of(by, run)
    result = replace(result, seconds=(*result.seconds, (by.name, time.perf_counter() - start)))
    if isinstance(made, ReuseResult):
        return _reused(result, by, made, verify)
    if verify and made.modified:
        found = verify_split(result.program, made, _options(verify))
        _raise_for(found, by)
        made = replace(made, verification=found)
    changes, skips = (*result.changes, *made.changes), (*result.skips, *made.skips)
    return replace(result, changes=changes, skips=skips, hoisted=made)


def _reused(result: RewriteResult, by: StageRewrite, made: ReuseResult, verify: Verify) -> RewriteResult:
    """`result` with the approximate `made` of `by`, whose distance is measured where `verify` asks for it."""
    if verify and made.modified:
        made = measure(made, _options(verify))
        assert made.verification is not None
        _raise_for(made.verification, by)
    changes, skips = (*result.changes, *made.changes), (*result.skips, *made.skips)
    return replace(result, changes=changes, skips=skips, reused=made)


def _raise_for(found: Verification, by: StageRewrite) -> None:
    """VerificationError, naming the pass `by` that made the parts, where they are wrong."""
    broken = found.broken
    named = found if broken is None else replace(found, broken=replace(broken, pass_name=by.name))
    named.raise_for_error({by.name: called(by)})


def _options(verify: Verify) -> VerifyOptions:
    return verify if isinstance(verify, VerifyOptions) else VerifyOptions()


def verified(before: Program, result: RewriteResult, passes: Sequence[Rewrite], verify: Verify = True) -> RewriteResult:
    """`result`, a rewrite of `before` by `passes`, with its verification; VerificationError when a value differs.

    Where a pass means to change values there is nothing to compare: `base` is then the result's own program.
    """
    if not all(item.exact for item in passes):
        return replace(result, base=result.program)
    if not verify:
        return result
    found = compare(before, result.program, result.changes, new_tensors=result.new_tensors, options=_options(verify))
    found.raise_for_error({item.name: called(item) for item in passes})
    return replace(result, verification=found)


def joined(first: RewriteResult, second: RewriteResult) -> RewriteResult:
    """`first`, then `second` on its program, as one result; new tensors are said from the program before both."""
    made = {item.key: item for item in first.new_tensors}
    made.update({item.key: item for item in second.new_tensors})
    seconds = dict(first.seconds)
    for name, value in second.seconds:
        seconds[name] = seconds.get(name, 0.0) + value
    return replace(
        second,
        changes=(*first.changes, *second.changes),
        skips=(*first.skips, *second.skips),
        new_tensors=needed(made, _held_keys(second.program)),
        dropped=(*first.dropped, *(key for key in second.dropped if _original(key, made))),
        seconds=tuple(seconds.items()),
        details=(*first.details, *second.details),
    )


def _original(key: str, made: Mapping[str, NewTensor]) -> bool:
    """Whether the program before both had a weight `key`: it is not new, or a new value of the old one."""
    return key not in made or key in made[key].origins


def _held_keys(program: Program) -> set[str]:
    assert program.exported is not None
    return {*program.exported.state_dict, *program.exported.constants}
