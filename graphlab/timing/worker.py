"""The process of one candidate: reads one request a line, answers with one line, and waits in between.

Run as `python -m graphlab.timing.worker`. What libraries print goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphlab.timing.candidate_run import CandidateRun


def main() -> int:
    """Serves requests until standard input ends, which it also does when whoever started this is gone."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    run: CandidateRun | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "load":
                from graphlab.timing.candidate_run import load

                run, answer = load(request["job"])
            else:
                assert run is not None
                answer = _answer(run, request)
        except MemoryError:
            answer = {"error": "there is not enough memory", "kind": "MemoryError"}
        except Exception as error:  # whatever a runtime raises is told, and the process lives on
            answer = _failure(error)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    return 0


def _answer(run: CandidateRun, request: Mapping[str, Any]) -> dict[str, Any]:
    if request["do"] == "compile":
        return run.compile()
    if request["do"] == "outputs":
        return run.write_outputs(request["path"])
    if request["do"] == "sample":
        return run.sample(request["calls"], whole=request["whole"])
    assert request["do"] == "memory"
    return run.memory()


def _failure(error: Exception) -> dict[str, Any]:
    from graphlab.errors import GraphlabError

    text = error.message if isinstance(error, GraphlabError) else " ".join(str(error).split())[:300]
    hint = error.hint if isinstance(error, GraphlabError) else None
    return {"error": text or type(error).__name__, "hint": hint, "kind": type(error).__name__}


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # libraries take seconds to take themselves apart, and nothing of theirs is to be kept
