"""A `Finding`: one claim about generative models, and what these models on this device say to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

VERDICTS = ("reproduced", "partly reproduced", "not reproduced", "not applicable")


@dataclass(frozen=True, slots=True)
class Finding:
    """`claim` with where it is from (`source`), one of VERDICTS, and the figures behind it, a line each.

    "not applicable": no model of the suite can answer, or the figures it needs were left out; `evidence` says which.
    """

    name: str
    claim: str
    source: str
    verdict: str
    evidence: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Every field by name."""
        return {
            "name": self.name,
            "claim": self.claim,
            "source": self.source,
            "verdict": self.verdict,
            "evidence": list(self.evidence),
        }
