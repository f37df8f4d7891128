"""How long `graphlab --help` takes, and what importing graphlab pulls in. Bar: 0.5 s."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.timing import GRAPHLAB, header, interleaved, process, python


def main() -> None:
    """Print the table."""
    header("Start-up")
    samples = interleaved(
        9,
        help=process(GRAPHLAB, "--help"),
        imported=python("import graphlab"),
        python=python("pass"),
    )
    print(f"graphlab --help   {samples['help']}   (bar: 0.5 s)")
    print(f"import graphlab   {samples['imported']}")
    print(f"python alone      {samples['python']}")
    code = "import sys, graphlab; print({'torch', 'diffusers', 'transformers', 'onnxruntime'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    print(f"model libraries imported by `import graphlab`: {loaded}")


if __name__ == "__main__":
    main()
