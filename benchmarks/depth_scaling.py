"""Cost of analysis and of capture against depth: 1x, 2x, 4x, 8x layers. Bar: linear in nodes."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from benchmarks.timing import header


def measure(layers: int) -> tuple[int, float, float]:
    """(calls, capture seconds, analysis seconds) of a decoder with `layers` layers."""
    import graphlab
    from graphlab.sources.stage import program_for
    from graphlab.stage_analysis import Options, analyze_program, stage_report

    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 512, "intermediate_size": 1024,
        "num_hidden_layers": layers, "num_attention_heads": 8, "vocab_size": 1000, "dtype": "float16",
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(config))
        workload = graphlab.load(folder)
        stage = workload.stages[0]
        start = time.perf_counter()
        program = program_for(stage, workload.step_values(stage, 0), dynamic=False, disk=False)
        captured = time.perf_counter()
        report = stage_report(analyze_program(workload, stage, program), Options(dynamic=False, cache=False))
        return len(report.nodes), captured - start, time.perf_counter() - captured


def main() -> None:
    """Print a row a depth; the last columns are microseconds a call."""
    header("Depth")
    measure(2)
    print("| layers | calls | capture, s | analysis, s | capture, us a call | analysis, us a call |")
    print("|---|---|---|---|---|---|")
    for layers in (8, 16, 32, 64):
        calls, capture, analysis = min((measure(layers) for _ in range(3)), key=lambda run: run[2])
        per = f"{capture / calls * 1e6:.0f} | {analysis / calls * 1e6:.0f}"
        print(f"| {layers} | {calls} | {capture:.2f} | {analysis:.3f} | {per} |", flush=True)


if __name__ == "__main__":
    main()
