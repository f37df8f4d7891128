"""A bench report written down: one stage, one of every outcome."""

from __future__ import annotations

from graphlab.report.bench_data import (
    BenchReport,
    CandidateBench,
    Check,
    Environment,
    Interval,
    Memory,
    Ratio,
    StageBench,
    Times,
    Total,
)

MiB = 1 << 20
HERE = Environment(
    "A CPU", 4, 2, 8 << 30, "performance", 0.25, None, "Linux 6",
    {"graphlab": "0", "python": "3", "torch": "2", "onnxruntime": "1", "openvino": None},
)  # fmt: skip
MEMORY = Memory(200 * MiB, 900 * MiB, 500 * MiB, None)
GOOD = Check(2e-6, 1e-3, 0, True)


def times(*samples: float, estimate: bool = False, stable: bool = True) -> Times:
    """Times of `samples`, the middle one as median."""
    ordered = sorted(samples)
    return Times(
        ordered[len(ordered) // 2], ordered[0], ordered[-1], samples, 1, 4, stable,
        Interval(ordered[0], ordered[-1]), estimate,
    )  # fmt: skip


BASE = CandidateBench(
    "eager", "eager,threads=2", 0, "float32", None, "timed", None, GOOD, 0.001, MEMORY, times(2.0, 2.1, 1.9)
)
FAST = CandidateBench(
    "inductor -O2", "inductor,threads=2", 2, "float32", None, "timed", None, GOOD, 12.5, MEMORY,
    times(1.0, 1.05, 0.95, stable=False), Ratio(2.0, Interval(1.9, 2.1), "faster", 8), ("a note",),
)  # fmt: skip
TIE = CandidateBench(
    "eager #2", "eager,threads=2", 0, "float32", None, "timed", None, GOOD, 0.001, MEMORY,
    times(2.0, 2.0, 2.0), Ratio(1.0, Interval(0.98, 1.03), "tie", 8),
)  # fmt: skip
UNSURE = CandidateBench(
    "openvino", "openvino,threads=2", 0, "float32", "bfloat16", "timed", None, GOOD, 3.0, MEMORY,
    times(1.5), Ratio(1.4, None, "unknown", 3),
)  # fmt: skip
WRONG = CandidateBench(
    "broken", "broken", 0, "float32", None, "wrong", "output 1 differs", Check(0.5, 1e-3, 1, False), 1.0, MEMORY
)
ODD = CandidateBench("odd", "odd", 0, "float32", None, "wrong", "another shape", Check(None, 1e-3, 0, False), 1.0)
ABSENT = CandidateBench("onnxruntime,provider=cuda", "onnxruntime,provider=cuda", 0, "float32", None, "unavailable",
                        "there is no NVIDIA driver")  # fmt: skip


def report(*candidates: CandidateBench, whole: bool = False, totals: tuple[Total, ...] = ()) -> BenchReport:
    """A report of `candidates` on the stage unet; BASE is their base where it is among them."""
    base = BASE.label if BASE in candidates else None
    stage = StageBench(
        "unet", "generation" if whole else "call", 50, 100, "random:0", "eager in float32", base, False, 8,
        candidates, ("weights are random",),
    )  # fmt: skip
    return BenchReport(
        "toy", "toy", {"height": 64}, whole, 20, 60.0, 3, HERE, (stage,), totals, ("assumed",), ("a rule",)
    )


EVERYTHING = report(BASE, FAST, TIE, UNSURE, WRONG, ODD, ABSENT)
