"""ONNX Runtime's two attentions on the CPU, com.microsoft MultiHeadAttention and the standard's Attention, by shape.

    python -m benchmarks.attention_kernels

Sessions of one node each, timed in interleaved rounds. A ratio is the median over rounds of MultiHeadAttention's time
over Attention's, with a bootstrap interval of 95 %; the score matrix is what Attention holds in full.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from benchmarks.timing import header
from graphlab.timing.stamp import usable_cores
from graphlab.timing.statistics import bootstrap, ratios

ROUNDS, WARM_UP = 20, 3
MIB = 1 << 20
SHAPES = (
    ("frames of a video U-Net", 1024, 8, 8, 5, 64),
    ("frames of a video U-Net", 1024, 16, 16, 5, 64),
    ("frames of a video U-Net", 256, 24, 24, 10, 64),
    ("", 256, 32, 32, 8, 64),
    ("", 128, 48, 48, 8, 64),
    ("", 64, 64, 64, 8, 64),
    ("", 32, 128, 128, 8, 64),
    ("SD 1.5, text", 2, 4096, 77, 8, 40),
    ("SD 1.5, text", 2, 1024, 77, 8, 80),
    ("SD 1.5, text", 2, 256, 77, 8, 160),
    ("CLIP", 2, 77, 77, 12, 64),
    ("DiT", 2, 256, 256, 16, 72),
    ("SD 1.5", 2, 1024, 1024, 8, 80),
    ("SD 1.5", 2, 4096, 4096, 8, 40),
)
"""(what has it, batch, queries, keys, heads, channels a head)."""


COLUMNS = (
    "",
    "batch",
    "queries",
    "keys",
    "heads x channels",
    "MultiHeadAttention, ms",
    "Attention, ms",
    "Attention is times as fast",
    "score matrix, MiB",
)


def session(standard: bool, batch: int, queries: int, keys: int, heads: int, width: int) -> Callable[[], Any]:
    """A call of one attention over packed heads (batch, tokens, heads x width), float32, values of its own."""
    if standard:
        node = helper.make_node("Attention", list("qkv"), ["o"], q_num_heads=heads, kv_num_heads=heads)
    else:
        node = helper.make_node("MultiHeadAttention", list("qkv"), ["o"], domain="com.microsoft", num_heads=heads)
    sizes = {"q": queries, "k": keys, "v": keys, "o": queries}
    said = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, size, heads * width])
        for name, size in sizes.items()
    }
    graph = helper.make_graph([node], "attention", [said[name] for name in "qkv"], [said["o"]])
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    made = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    generator = np.random.default_rng(0)
    given = {name: generator.standard_normal((batch, sizes[name], heads * width), np.float32) for name in "qkv"}
    return lambda: made.run(None, given)


def rounds(calls: list[Callable[[], Any]]) -> list[list[float]]:
    """Seconds of each call in each round, in an order drawn anew."""
    order, found = random.Random(0), [[0.0] * ROUNDS for _ in calls]
    for number in range(-WARM_UP, ROUNDS):
        for index in order.sample(range(len(calls)), len(calls)):
            began = time.perf_counter()
            calls[index]()
            if number >= 0:
                found[index][number] = time.perf_counter() - began
    return found


def main() -> int:
    """Print the table."""
    header("ONNX Runtime's attentions on the CPU")
    print(f"onnxruntime {onnxruntime.__version__}, {ROUNDS} rounds, medians\n")
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for what, batch, queries, keys, heads, width in SHAPES:
        shape = (batch, queries, keys, heads, width)
        contrib, standard = rounds([session(False, *shape), session(True, *shape)])
        found = ratios(contrib, standard)
        interval = bootstrap(found)
        said = f"{statistics.median(found):.2f} [{interval.low:.2f}, {interval.high:.2f}]" if interval else "few rounds"
        times = " | ".join(f"{statistics.median(part) * 1e3:.1f}" for part in (contrib, standard))
        scores = 4 * batch * heads * queries * keys / MIB
        row = (what, batch, queries, keys, f"{heads} x {width}", times, said, f"{scores:.0f}")
        print(f"| {' | '.join(map(str, row))} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
