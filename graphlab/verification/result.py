"""What a verification says, and what it may be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from graphlab.errors import GraphlabError

MODES = ("auto", "whole", "regions")
GIB = 1 << 30
_NOBODY: Mapping[str, str] = {}


class VerificationError(GraphlabError):
    """Two programs that should compute the same and do not, or that cannot be compared."""


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """How to compare.

    `mode` is one of MODES; "auto" takes "whole" when float64 weights and activations fit `limit_bytes`. `tolerance`
    bounds the relative error in float64. `factor`, `tail_factor` and `floor_eps` make the bounds in the model's dtype:
    the root mean square error may be `factor` x its own, the largest, which is the luck of one element,
    `tail_factor` x its own, and `floor_eps` x its machine epsilon more. `masked_rows` adds a run whose masks are empty
    in the first entry of the batch and full in the last. `device` runs the programs; `widenings` is how often a region
    that differs is cut larger before it counts as broken.
    """

    mode: str = "auto"
    device: str = "cpu"
    seed: int = 0
    bindings: int = 2
    limit_bytes: int = 3 * GIB // 2
    example_bytes: int = GIB // 4
    tolerance: float = 1e-10
    factor: float = 4.0
    tail_factor: float = 32.0
    floor_eps: float = 4.0
    redraws: int = 6
    masked_rows: bool = False
    widenings: int = 3

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise GraphlabError(f"unknown mode {self.mode!r}", hint=f"one of {', '.join(MODES)}")
        if self.bindings < 1 or self.limit_bytes < 1:
            raise GraphlabError("bindings and limit_bytes are at least 1")


@dataclass(frozen=True, slots=True)
class Broken:
    """The first pair of values that should be equal and are not.

    `pass_name` is "" where no change speaks of the pair; `before` or `after` are result names ("result 0") where only
    results differ. `precision` is "float64" or "model"; `error` the relative error there (inf for NaN against a
    number or another shape), `bound` what was allowed.
    """

    pass_name: str
    before: str
    after: str
    precision: str
    error: float
    bound: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Verification:
    """The outcome of `verify`.

    `mode` is "whole" or "regions". `bindings` are the sizes tried, {symbol: size} each; one empty mapping for a
    static program. `worst_float64` and `worst_model` are the largest relative errors met, None where nothing was
    compared; `own_error` is the largest error of the program before in its own dtype against float64, of the values
    in which the programs differ in the model's dtype. `compared` counts the values (results and pairs of changes) that
    were compared, in regions mode the regions; `distinct` the regions of different structure that were run.
    `unchecked` says in words what could not be compared and why; `ok` does not cover it, `complete` does.
    """

    ok: bool
    mode: str
    bindings: tuple[Mapping[str, int], ...] = ()
    worst_float64: float | None = None
    worst_model: float | None = None
    own_error: float | None = None
    compared: int = 0
    distinct: int = 0
    broken: Broken | None = None
    unchecked: tuple[str, ...] = field(default=())

    @property
    def complete(self) -> bool:
        """Whether everything was compared and equal."""
        return self.ok and not self.unchecked

    def raise_for_error(self, who: Mapping[str, str] = _NOBODY) -> None:
        """VerificationError naming the pass and the nodes when the programs differ or nothing was compared.

        `who` says what to call a pass: {its name: "pass mine of my-plugin 1.0"}.
        """
        if self.ok:
            return
        broken = self.broken
        if broken is None:
            raise VerificationError("nothing could be compared", hint="; ".join(self.unchecked) or None)
        named = who.get(broken.pass_name, f"pass {broken.pass_name}")  # several are "one then another"
        what = f"{named} broke" if broken.pass_name else "the programs differ at"
        where = broken.before if broken.before == broken.after else f"{broken.before}, now {broken.after}"
        kind = "in float64" if broken.precision == "float64" else "in the model's dtype"
        reason = f": {broken.why}" if broken.why else ""
        raise VerificationError(
            f"{what} {where}: relative error {broken.error:.3g} {kind}, {broken.bound:.3g} allowed{reason}",
            hint="the program before is unchanged",
        )
