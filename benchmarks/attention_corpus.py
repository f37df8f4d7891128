"""Attention spellings fused, refused and got wrong: by fuse-attention, inductor's matcher and ONNX Runtime's optimizer.

Over the corpus of `tests/attention_corpus` and, with `--generated N`, as many random spellings and near misses. Wrong
is a fusion whose numbers differ, or one where the probabilities or scores are needed as they are. Every engine works
in processes of its own, a batch of spellings each, with a time limit; what runs out of it is an error, not a refusal.

    python -m benchmarks.attention_corpus --engines graphlab,inductor,onnxruntime --json counts.json
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.utils import _pytree

from benchmarks.timing import header
from tests.attention_corpus import Spelling, corpus
from tests.attention_corpus.generate import random_near_miss, random_spelling

BATCH = 60
TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Largest difference that is rounding, in parts of the largest number of the result."""

ONNX_TYPES = ("bert", "unet", "vae", "clip", "t5", "mmdit", "gpt2")
"""What the optimizer may take the model for; the one that fuses most counts."""

ONNX_ATTENTION = ("Attention", "MultiHeadAttention", "GroupQueryAttention", "PackedAttention")

KINDS = ("fused", "partly", "refused", "wrong", "error")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an engine made of a spelling: `kind` is one of KINDS, `count` fused attentions, `note` what went wrong."""

    name: str
    family: str
    engine: str
    wanted: int
    either: bool
    kind: str
    count: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Fused attentions and, where there are any, what the new program returns; None when it could not be run."""

    count: int
    results: list[Tensor] | None = None
    note: str = ""


def entries(generated: int) -> tuple[Spelling, ...]:
    """The corpus and as many generated spellings and near misses."""
    made = [make(seed) for make in (random_spelling, random_near_miss) for seed in range(generated)]
    return (*corpus(), *made)


def captured(entry: Spelling) -> Any:
    """graphlab's static Program of `entry`."""
    from graphlab.sources.module import capture

    return capture(entry.module(), entry.inputs(), dynamic=False)


def run(call: Callable[..., Any], entry: Spelling) -> list[Tensor]:
    """Flat results for the entry's inputs; what is drawn inside is drawn from the same seed."""
    torch.manual_seed(0)
    with torch.no_grad():
        return [leaf for leaf in _pytree.tree_leaves(call(*entry.inputs())) if isinstance(leaf, Tensor)]


def by_graphlab(entry: Spelling) -> Outcome:
    """The rewrite, on the captured program."""
    import graphlab

    program = captured(entry)
    result = graphlab.run_pass("fuse-attention", program)
    fused = result.program.exported
    count = _attentions(fused) - _attentions(program.exported)
    why = "; ".join(skip.why for skip in result.skips)
    return Outcome(count, run(fused.module(), entry) if count else None, why)


def _attentions(program: ExportedProgram) -> int:
    target = torch.ops.aten.scaled_dot_product_attention.default
    return sum(node.target is target for node in program.graph.nodes)


def by_inductor(entry: Spelling) -> Outcome:
    """torch.compile's graph passes at inference; the graph they leave is run as it is, no kernel is generated."""
    from torch._dynamo.utils import counters
    from torch._functorch.aot_autograd import make_boxed_func
    from torch._inductor.compile_fx import compile_fx

    def interpreted(graph: torch.fx.GraphModule, _inputs: Sequence[Any], **_options: Any) -> Any:
        return make_boxed_func(graph.forward)

    torch._dynamo.reset()
    module = captured(entry).exported.module()
    counters.clear()
    compiled = torch.compile(module, backend=lambda graph, inputs: compile_fx(graph, inputs, interpreted))
    results = run(compiled, entry)
    return Outcome(counters["inductor"]["fuse_attention"], results)


def by_onnxruntime(entry: Spelling) -> Outcome:
    """The transformers optimizer on the default dynamo export, taken for the kind of model that fuses most."""
    from onnxruntime.transformers.optimizer import optimize_model

    with tempfile.TemporaryDirectory() as folder:
        plain, best = Path(folder) / "plain.onnx", Path(folder) / "best.onnx"
        exported = captured(entry).exported
        torch.onnx.export(exported, entry.inputs(), str(plain), dynamo=True, verbose=False)
        counts, notes = {}, []
        for kind in ONNX_TYPES:
            try:
                model = optimize_model(str(plain), model_type=kind, opt_level=0)
            except Exception as error:  # the optimizer raises anything; another kind of model may still do
                notes.append(f"{kind}: {type(error).__name__}")
                continue
            counts[kind] = sum(node.op_type in ONNX_ATTENTION for node in model.model.graph.node)
            if counts[kind] == max(counts.values()) and counts[kind] > 0:
                model.save_model_to_file(str(best))
        count = max(counts.values(), default=0)
        return Outcome(count, _onnx_results(best, entry) if count else None, ", ".join(notes))


def _onnx_results(path: Path, entry: Spelling) -> list[Tensor] | None:
    """Results of a model on the CPU provider; None where that has no kernel for it."""
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        names = [place.name for place in session.get_inputs()]
        given = dict(zip(names, (part.numpy() for part in entry.inputs()), strict=False))
        return [torch.from_numpy(result) for result in session.run(None, given)]
    except Exception:  # onnxruntime's own exceptions have no public base class
        return None


ENGINES: dict[str, Callable[[Spelling], Outcome]] = {
    "graphlab": by_graphlab,
    "inductor": by_inductor,
    "onnxruntime": by_onnxruntime,
}


def judge(entry: Spelling, engine: str) -> Verdict:
    """Run an engine on a spelling and judge what it did."""
    about = (entry.name, entry.family, engine, entry.attentions, entry.either)
    try:
        outcome = ENGINES[engine](entry)
    except Exception as error:  # an engine that fails on a spelling is a row of the table
        return Verdict(*about, "error", note=f"{type(error).__name__}: {error}"[:300])
    if not outcome.count:
        return Verdict(*about, "refused", note=outcome.note)
    note = outcome.note if outcome.results is not None else "could not be run"
    worst = difference(run(entry.module(), entry), outcome.results) if outcome.results is not None else 0.0
    if not worst <= 1.0:
        note = f"numbers differ {worst:.1f} times as much as rounding may"
    if not worst <= 1.0 or (entry.attentions == 0 and not entry.either):
        return Verdict(*about, "wrong", outcome.count, note or "fused what must be refused, with the same numbers")
    kind = "fused" if outcome.count >= entry.attentions else "partly"
    return Verdict(*about, kind, outcome.count, note)


def difference(wanted: Sequence[Tensor], got: Sequence[Tensor]) -> float:
    """The largest difference of any result in units of its tolerance; inf where shapes or NaN differ."""
    if [part.shape for part in wanted] != [part.shape for part in got]:
        return float("inf")
    worst = 0.0
    for one, two in zip(wanted, got, strict=True):
        if not torch.equal(one.isfinite(), two.isfinite()):
            return float("inf")
        apart = (one.double() - two.double()).abs().nan_to_num(0.0)
        scale = one.double().nan_to_num(0.0).abs().max().clamp(min=1e-6)
        worst = max(worst, float(apart.max() / scale) / TOLERANCE.get(one.dtype, 1e-4))
    return worst


def in_batches(engine: str, wanted: Sequence[Spelling], generated: int, limit: float) -> Iterator[list[Verdict]]:
    """Verdicts of an engine on `wanted` so far, after every process of BATCH; `limit` in seconds a spelling."""
    verdicts: list[Verdict] = []
    while len(verdicts) < len(wanted):
        batch = wanted[len(verdicts) : len(verdicts) + BATCH]
        done = _batch(engine, batch, generated, limit * len(batch) + 60)
        if len(done) < len(batch):
            entry = batch[len(done)]
            about = (entry.name, entry.family, engine, entry.attentions, entry.either)
            done.append(Verdict(*about, "error", note="the process ended or ran out of time"))
        verdicts += done
        print(f"{engine}: {len(verdicts)} of {len(wanted)}", file=sys.stderr, flush=True)
        yield verdicts


def _batch(engine: str, batch: Iterable[Spelling], generated: int, seconds: float) -> list[Verdict]:
    names = [entry.name for entry in batch]
    command = [sys.executable, "-m", "benchmarks.attention_corpus", "--worker", engine, "--generated", str(generated)]
    with tempfile.TemporaryFile("w+") as lines:
        process = subprocess.Popen([*command, *names], stdout=lines, stderr=subprocess.DEVNULL)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        lines.seek(0)
        found = (line.removeprefix("verdict ") for line in lines if line.startswith("verdict "))
        return [Verdict(**json.loads(line)) for line in found]


def worker(engine: str, names: Sequence[str], generated: int) -> None:
    """Judge the spellings of those names, a line of JSON each."""
    warnings.simplefilter("ignore")
    by_name = {entry.name: entry for entry in entries(generated)}
    for name in names:
        print("verdict", json.dumps(asdict(judge(by_name[name], engine))), flush=True)


def table(engine: str, verdicts: Sequence[Verdict]) -> None:
    """A row a family: must be fused, must be refused, either."""
    print(f"\n## {engine}\n")
    print("| family | must fuse | fused | partly | refused | must refuse | refused | either | fused | wrong | errors |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    families = list(dict.fromkeys(verdict.family for verdict in verdicts))
    for family in (*families, "all"):
        rows = [verdict for verdict in verdicts if family in (verdict.family, "all")]
        must = [verdict for verdict in rows if verdict.wanted and not verdict.either]
        never = [verdict for verdict in rows if not verdict.wanted and not verdict.either]
        either = [verdict for verdict in rows if verdict.either]
        fuse, all_kinds = Counter(v.kind for v in must), Counter(v.kind for v in rows)
        cells = (
            len(must), fuse["fused"], fuse["partly"], fuse["refused"],
            len(never), sum(v.kind == "refused" for v in never),
            len(either), sum(v.kind in ("fused", "partly") for v in either),
            all_kinds["wrong"], all_kinds["error"],
        )  # fmt: skip
        print(f"| {family} | " + " | ".join(str(cell) for cell in cells) + " |")
    for verdict in verdicts:
        missed = verdict.kind in ("refused", "partly") and verdict.wanted and not verdict.either
        if verdict.kind in ("wrong", "error") or (engine == "graphlab" and missed):
            print(f"- {verdict.kind}: {verdict.name} ({verdict.count} of {verdict.wanted}): {verdict.note}")


def summary(by_engine: dict[str, list[Verdict]]) -> None:
    """A row a family: what each engine fuses of what it must, what it leaves of what it must, what it gets wrong."""
    engines = list(by_engine)
    heads = [f"{what} {engine}" for what in ("fused:", "left:", "wrong:") for engine in engines]
    print("\n## All engines\n\n| family | must fuse | must be left | " + " | ".join(heads) + " |")
    print("|---|" + "---|" * (2 + len(heads)))
    first = by_engine[engines[0]]
    for family in (*dict.fromkeys(verdict.family for verdict in first), "all"):
        rows = {e: [v for v in found if family in (v.family, "all")] for e, found in by_engine.items()}
        plain = {e: [v for v in found if not v.either] for e, found in rows.items()}
        cells = [sum(bool(v.wanted) for v in plain[engines[0]]), sum(not v.wanted for v in plain[engines[0]])]
        cells += [sum(v.kind == "fused" and bool(v.wanted) for v in plain[e]) for e in engines]
        cells += [sum(v.kind == "refused" and not v.wanted for v in plain[e]) for e in engines]
        cells += [sum(v.kind == "wrong" for v in rows[e]) for e in engines]
        print(f"| {family} | " + " | ".join(map(str, cells)) + " |")


def _print_again(files: Sequence[Path]) -> None:
    """The tables of verdicts kept in `files`, of spellings that are in the corpus still, in its order."""
    kept = {(row["engine"], row["name"]): Verdict(**row) for file in files for row in json.loads(file.read_text())}
    by_engine = {e: [kept[e, entry.name] for entry in corpus() if (e, entry.name) in kept] for e in ENGINES}
    if all(len(found) == len(corpus()) for found in by_engine.values()):
        summary(by_engine)
    for engine in ENGINES:
        found = [kept[engine, entry.name] for entry in corpus() if (engine, entry.name) in kept]
        if found:
            table(engine, found)
            print(f"\n{len(found)} of {len(corpus())} spellings")


def main() -> None:
    """Print a table an engine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", default=",".join(ENGINES), help="comma-separated: " + ", ".join(ENGINES))
    parser.add_argument("--family", help="only spellings of this family")
    parser.add_argument("--generated", type=int, default=0, help="random spellings, and random near misses, to add")
    parser.add_argument("--limit", type=float, default=30.0, help="seconds a spelling, on average over a batch")
    parser.add_argument("--json", type=Path, help="write every verdict to this file")
    parser.add_argument("--read", type=Path, nargs="+", help="print what runs with --json wrote, the last one counts")
    parser.add_argument("--worker", choices=ENGINES, help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", help="only these spellings")
    options = parser.parse_args()
    if options.worker:
        worker(options.worker, options.names, options.generated)
        return
    header("Attention spellings")
    if options.read:
        _print_again(options.read)
        return
    chosen = [e for e in entries(options.generated) if not options.names or e.name in options.names]
    chosen = [e for e in chosen if options.family in (None, e.family)]
    engines = options.engines.split(",")
    unknown = [engine for engine in engines if engine not in ENGINES]
    if unknown:
        parser.error(f"unknown engine {unknown[0]!r}; known: {', '.join(ENGINES)}")
    before: list[Verdict] = []
    for engine in engines:
        mine: list[Verdict] = []
        for mine in in_batches(engine, chosen, options.generated, options.limit):
            if options.json:
                options.json.write_text(json.dumps([asdict(verdict) for verdict in before + mine], indent=1))
        table(engine, mine)
        before += mine


if __name__ == "__main__":
    main()
