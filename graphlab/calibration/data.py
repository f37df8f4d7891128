"""`Calibration`: measured seconds of single operators on one machine, by their sizes.

Every number was measured there; what a table is about is in TABLES, which the probes fill and the model reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

BYTES = ("bytes",)
ROWS = ("row", "rows")
PRODUCT = ("m", "n", "k")

CONVOLUTIONS = (
    "conv_1x1", "conv_3x3", "conv_3x3_uneven", "conv_3x3_stride2", "conv_patch", "conv_3x1x1", "conv_3x3x3",
    "conv_depthwise",
)  # fmt: skip
"""Tables of convolutions by their windows: one position; 3 x 3 positions of two axes, with stride 1, the same where the
blocks of 16 output channels are a prime number above 5, with stride 2; 2 x 2 that do not overlap; 3 positions of one
axis of three; 3 x 3 x 3; and 3 x 3 with one channel a group."""

BATCHED = ("conv_1x1", "conv_3x3")
"""Convolutions that take another way through torch for several pictures (images above 1) than for one small one."""

POINTWISE = (
    "add_scalar", "sub_scalar", "mul_scalar", "div_scalar",
    "add", "sub", "mul", "div", "silu", "gelu", "gelu_tanh", "relu", "sigmoid", "tanh", "exp", "sin", "cos", "rsqrt",
    "pow", "neg", "where", "clamp",
)  # fmt: skip
"""Pointwise operators with a curve of their own, by ATen name; `gelu_tanh` is gelu's approximation by tanh, `_scalar`
an operator between a tensor and a number, which is made a tensor first."""

MOVES = ("clone", "to", "cat", "embedding", "upsample_nearest2d", "fill")
"""Copies in memory order, casts, concatenations, look-ups, nearest upsampling, and writing without reading."""

NORMS = ("layer_norm", "group_norm", "rms_norm", "softmax", "mean")
"""Operators that sweep rows of `row` elements; group_norm's row is the elements of a group."""

TABLES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "linear": PRODUCT,
        "matmul": ("batch", *PRODUCT),
        **{name: ("images", *PRODUCT) if name in BATCHED else PRODUCT for name in CONVOLUTIONS},
        "attention": ("heads", "q", "kv", "width"),
        "strided_copy": ("step", "run", "bytes"),
        **dict.fromkeys((*POINTWISE, *MOVES), BYTES),
        **dict.fromkeys(NORMS, ROWS),
    }
)
"""{table: its axes}. m, n, k: a matrix product, that of a convolution being the implicit one for one group
(`graphlab.kernels.data.Contraction`); images: pictures of a batch, which m contains. heads: batch x heads. bytes: read
and written. run: contiguous bytes of one run of the reads; step: the largest power of two up to 4096 that divides the
bytes from one run to the next, for runs a page apart fall on the same lines of a cache. rows: of `row` elements."""

CLASSES = ("images", "step")
"""Axes that tell kinds of calls apart and are no part of the work."""

CALLS = (
    "add", "view", "reshape", "transpose", "permute", "unsqueeze", "squeeze", "slice", "select", "expand", "chunk",
    "split", "unbind", "flatten", "unflatten", "dropout", "to", "type_as", "contiguous", "detach", "getitem",
)  # fmt: skip
"""Operators whose call on a tensor of a few elements is timed: "add" is the cheapest kernel there is, the others
are views, whose time is all dispatch."""


@dataclass(frozen=True, slots=True)
class Table:
    """`points` maps sizes along `axes` to seconds of one call, in the order they were measured."""

    name: str
    axes: tuple[str, ...]
    points: Mapping[tuple[int, ...], float]


@dataclass(frozen=True, slots=True)
class Calibration:
    """The measurements of one machine, in float32 unless `dtype` says otherwise.

    `machine` is the processor as the system names it, `threads` torch's threads inside an operator, `rounds` how
    often every probe ran (seconds are medians over them). `calls` maps CALLS to seconds. `fault_seconds_per_byte`
    is what the first touch of fresh memory costs a result of at least `fault_from_bytes`, which the allocator maps
    anew for every call; smaller results come from memory that was touched before. `vector` is how many elements
    one vector instruction takes, and `tail_seconds` what fused attention spends, for each query, on each key that
    does not fill a vector.
    """

    machine: str
    threads: int
    torch: str
    date: str
    rounds: int
    dtype: str
    calls: Mapping[str, float]
    fault_from_bytes: int
    fault_seconds_per_byte: float
    vector: int
    tail_seconds: float
    tables: Mapping[str, Table]
