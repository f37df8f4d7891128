"""The command as a process: start-up time, what it imports, pipes and interrupts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-m", "graphlab.cli.main")


def run(*args: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *args], capture_output=True, text=True, timeout=60, **options)  # type: ignore[call-overload,no-any-return]  # options are the caller's


def test_help_imports_nothing_heavy() -> None:
    """What keeps it at half a second, which `python -m benchmarks.startup` times."""
    heavy = "{'torch', 'diffusers', 'transformers', 'onnxruntime', 'onnx', 'rich', 'sympy', 'networkx'}"
    code = (
        "import sys; from graphlab.cli.main import main; assert main(['--help']) == 0; "
        f"sys.exit(str({heavy} & set(sys.modules)) if {heavy} & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["devices", "models"])
def test_lists_import_no_torch(command: str) -> None:
    code = f"import sys; from graphlab.cli.main import main; main(['{command}']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60).returncode == 0


def test_errors_and_codes() -> None:
    missing = run("analyze", "no-such-model")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr.startswith("error: ")
    assert missing.stderr.count("\n") == 1
    assert run("analyze").returncode == 2


def test_a_reader_that_closes_early_is_no_error() -> None:
    shell = f"{' '.join(COMMAND)} devices | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_closed_reader_of_a_long_table(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        done = subprocess.run([*COMMAND, "models"], stdout=closed, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_interrupt_ends_with_130(tmp_path: Path) -> None:
    source = tmp_path / "slow.py"
    source.write_text(
        "import sys, time\nprint('there', file=sys.stderr, flush=True)\ndef f():\n    time.sleep(60)\ntime.sleep(60)\n"
    )

    def heard() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a test run in the background inherits that it is ignored

    command = [*COMMAND, "analyze", f"{source}:f"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heard) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "there\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert process.stderr.read() == "interrupted\n"


def test_names_that_the_terminal_cannot_show() -> None:
    done = run("analyze", "caf\u00e9-\u2603", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
