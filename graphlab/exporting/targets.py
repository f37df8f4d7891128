"""What an ONNX model is made for: whose operators it may hold, and which of them that runtime has kernels for."""

from __future__ import annotations

from dataclasses import dataclass, replace

from graphlab.errors import UnknownNameError
from graphlab.exporting.errors import ExportError
from graphlab.names import nearest

CONTRIB = "com.microsoft"
"""The domain of ONNX Runtime's own operators, all of version 1."""

DEFAULT_OPSET = ATTENTION_SINCE = 23
"""The first opset with Attention, RMSNormalization and RotaryEmbedding."""
LOWEST_OPSET = 18
"""What the translations of torch's operators are written for."""
HIGHEST_OPSET = 24
"""The newest opset ONNX Runtime's CPU provider was seen to run."""


@dataclass(frozen=True, slots=True)
class Target:
    """A runtime to write for.

    `provider` is the execution provider a model must load on; None for any runtime of the standard. `kernels` are the
    operators of com.microsoft that may be written, `passes` the rewrites that make them, after the user's own.
    `without` are passes of the level that are left out there, `halves_geglu` says that a gated layer is two
    products: both save the copies of a Split.
    """

    name: str
    help: str
    provider: str | None = None
    kernels: frozenset[str] = frozenset()
    passes: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    halves_geglu: bool = False
    opset: int = DEFAULT_OPSET

    def has(self, kernel: str) -> bool:
        """Whether the com.microsoft operator `kernel` may be written."""
        return kernel in self.kernels

    def at(self, opset: int | None) -> Target:
        """This target at another opset; ExportError for one no translation is written for."""
        if opset is None:
            return self
        if not LOWEST_OPSET <= opset <= HIGHEST_OPSET:
            raise ExportError(f"opset {opset} cannot be written", hint=f"opsets: {LOWEST_OPSET} to {HIGHEST_OPSET}")
        return replace(self, opset=opset)


_ANY_PROVIDER = frozenset(
    {
        "BiasGelu",
        "FastGelu",
        "Gelu",
        "MultiHeadAttention",
        "QuickGelu",
        "RotaryEmbedding",
        "SkipLayerNormalization",
        "SkipSimplifiedLayerNormalization",
    }
)
_CUDA_ALONE = frozenset({"BiasSplitGelu", "GroupNorm"})

TARGETS = {
    target.name: target
    for target in (
        Target("standard", "operators of the ONNX standard alone: any runtime"),
        Target(
            "ort-cpu",
            "ONNX Runtime on CPUs",
            "CPUExecutionProvider",
            _ANY_PROVIDER,
            ("pack-heads",),
            without=("fuse-qkv", "fuse-kv"),
            halves_geglu=True,
        ),
        Target(
            "ort-cuda",
            "ONNX Runtime on CUDA",
            "CUDAExecutionProvider",
            _ANY_PROVIDER | _CUDA_ALONE,
            ("pack-heads",),
        ),
    )
}  # fmt: skip


def target_named(name: str) -> Target:
    """The target `name`; UnknownNameError suggests the nearest."""
    if name not in TARGETS:
        raise UnknownNameError(
            f"there is no target {name!r}", hint=f"{nearest(name, TARGETS)}targets: {', '.join(TARGETS)}"
        )
    return TARGETS[name]
