"""Peak memory of analysing a 20-billion-parameter decoder. Bar: 1.5 GiB."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from benchmarks.timing import child_peak_bytes, header

# The shape of a 20 B decoder: 44 layers of width 6144.
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 6144, "intermediate_size": 16384,
    "num_hidden_layers": 44, "num_attention_heads": 64, "num_key_value_heads": 64, "vocab_size": 50432,
    "dtype": "float16",
}  # fmt: skip


def main() -> None:
    """Print parameters and peak resident memory, prefill and decode, symbolic and static."""
    header("A 20 B decoder")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(CONFIG))
        import graphlab

        report = graphlab.analyze(folder, dynamic=False, cache=False)
        print(f"parameters: {report.stages[0].parameters:,}")
        for dynamic in (False, True):
            code = f"import graphlab; graphlab.analyze({folder!r}, dynamic={dynamic}, cache=False)"
            peak = child_peak_bytes(code)
            kind = "symbolic" if dynamic else "static"
            print(f"analyze, {kind}: peak {peak / 2**30:.2f} GiB (bar: 1.5 GiB)", flush=True)
        alone = child_peak_bytes("import torch, transformers; from transformers import LlamaForCausalLM")
        print(f"importing torch and transformers alone: {alone / 2**30:.2f} GiB")


if __name__ == "__main__":
    main()
