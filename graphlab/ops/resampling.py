"""Interpolation, pooling, pixel shuffle and grid sampling.

Interpolation counts the weighted sums that make an output element, not the coordinates and weights, which a
kernel computes once a row or column. Antialiased interpolation has no rule: how many taps it takes depends on
the ratio of the sizes.
"""

from __future__ import annotations

from typing import Any

from graphlab.graph import Dim, TensorSpec
from graphlab.ops.rule import Work, op
from graphlab.ops.sizes import aten, first, product

_NEAREST = "upsample_nearest{0}d _upsample_nearest_exact{0}d"


@op(*aten(" ".join(_NEAREST.format(n) for n in (1, 2, 3)), "vec"), category="resampling", axes="resample")
def upsample_nearest_vec(input: TensorSpec, output_size: Any, scale_factors: Any, *, out: TensorSpec) -> Work:
    """Nothing is computed: elements are repeated."""
    return Work()


@op(*aten(_NEAREST.format(1)), category="resampling", axes="resample")
def upsample_nearest1d(self: TensorSpec, output_size: Any, scales: Any = None, *, out: TensorSpec) -> Work:
    """Nothing is computed: elements are repeated."""
    return Work()


@op(*aten(_NEAREST.format(2)), category="resampling", axes="resample")
def upsample_nearest2d(
    self: TensorSpec, output_size: Any, scales_h: Any = None, scales_w: Any = None, *, out: TensorSpec
) -> Work:
    """Nothing is computed: elements are repeated."""
    return Work()


@op(*aten(_NEAREST.format(3)), category="resampling", axes="resample")
def upsample_nearest3d(
    self: TensorSpec,
    output_size: Any,
    scales_d: Any = None,
    scales_h: Any = None,
    scales_w: Any = None,
    *,
    out: TensorSpec,
) -> Work:
    """Nothing is computed: elements are repeated."""
    return Work()


@op("aten.upsample_linear1d.vec", category="resampling", axes="resample")
def upsample_linear1d_vec(
    input: TensorSpec, output_size: Any, align_corners: bool, scale_factors: Any, *, out: TensorSpec
) -> Work:
    """3 an output element: two products, one addition."""
    return Work(0, 3 * out.numel)


@op("aten.upsample_linear1d.default", category="resampling", axes="resample")
def upsample_linear1d(
    self: TensorSpec, output_size: Any, align_corners: bool, scales: Any = None, *, out: TensorSpec
) -> Work:
    """3 an output element: two products, one addition."""
    return Work(0, 3 * out.numel)


@op("aten.upsample_bilinear2d.vec", category="resampling", axes="resample")
def upsample_bilinear2d_vec(
    input: TensorSpec, output_size: Any, align_corners: bool, scale_factors: Any, *, out: TensorSpec
) -> Work:
    """9 an output element: linear in two rows, then between them."""
    return Work(0, 9 * out.numel)


@op("aten.upsample_bilinear2d.default", category="resampling", axes="resample")
def upsample_bilinear2d(
    self: TensorSpec,
    output_size: Any,
    align_corners: bool,
    scales_h: Any = None,
    scales_w: Any = None,
    *,
    out: TensorSpec,
) -> Work:
    """9 an output element: linear in two rows, then between them."""
    return Work(0, 9 * out.numel)


@op("aten.upsample_bicubic2d.vec", category="resampling", axes="resample")
def upsample_bicubic2d_vec(
    input: TensorSpec, output_size: Any, align_corners: bool, scale_factors: Any, *, out: TensorSpec
) -> Work:
    """35 an output element: 7 (four products, three additions) in four rows, then between them."""
    return Work(0, 35 * out.numel)


@op("aten.upsample_bicubic2d.default", category="resampling", axes="resample")
def upsample_bicubic2d(
    self: TensorSpec,
    output_size: Any,
    align_corners: bool,
    scales_h: Any = None,
    scales_w: Any = None,
    *,
    out: TensorSpec,
) -> Work:
    """35 an output element: 7 (four products, three additions) in four rows, then between them."""
    return Work(0, 35 * out.numel)


@op("aten.upsample_trilinear3d.vec", category="resampling", axes="resample")
def upsample_trilinear3d_vec(
    input: TensorSpec, output_size: Any, align_corners: bool, scale_factors: Any, *, out: TensorSpec
) -> Work:
    """21 an output element: bilinear in two planes, then between them."""
    return Work(0, 21 * out.numel)


@op("aten.upsample_trilinear3d.default", category="resampling", axes="resample")
def upsample_trilinear3d(
    self: TensorSpec,
    output_size: Any,
    align_corners: bool,
    scales_d: Any = None,
    scales_h: Any = None,
    scales_w: Any = None,
    *,
    out: TensorSpec,
) -> Work:
    """21 an output element: bilinear in two planes, then between them."""
    return Work(0, 21 * out.numel)


def _window(kernel_size: Any, dims: int) -> Dim:
    sizes = kernel_size if isinstance(kernel_size, tuple) else (kernel_size,)
    return product(sizes if len(sizes) == dims else sizes * dims)


@op("aten.avg_pool1d.default", category="resampling", axes="resample")
def avg_pool1d(
    self: TensorSpec,
    kernel_size: Any,
    stride: Any = (),
    padding: Any = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    *,
    out: TensorSpec,
) -> Work:
    """An output element: an addition an element of the window, and the division."""
    return Work(0, (_window(kernel_size, 1) + 1) * out.numel)


def _avg_pool(dims: int) -> Any:
    zeros = (0,) * dims

    @op(f"aten.avg_pool{dims}d.default", category="resampling", axes="resample")
    def avg_pool(
        self: TensorSpec,
        kernel_size: Any,
        stride: Any = (),
        padding: Any = zeros,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: Any = None,
        *,
        out: TensorSpec,
    ) -> Work:
        """An output element: an addition an element of the window, and the division."""
        return Work(0, (_window(kernel_size, dims) + 1) * out.numel)

    return avg_pool


avg_pool2d, avg_pool3d = _avg_pool(2), _avg_pool(3)


def _max_pool(dims: int) -> Any:
    zeros, ones = (0,) * dims, (1,) * dims

    @op(*aten(f"max_pool{dims}d max_pool{dims}d_with_indices"), category="resampling", axes="resample")
    def max_pool(
        self: TensorSpec,
        kernel_size: Any,
        stride: Any = (),
        padding: Any = zeros,
        dilation: Any = ones,
        ceil_mode: bool = False,
        *,
        out: Any,
    ) -> Work:
        """An output element: a comparison an element of the window."""
        return Work(0, _window(kernel_size, dims) * first(out).numel)

    return max_pool


max_pool1d, max_pool2d, max_pool3d = _max_pool(1), _max_pool(2), _max_pool(3)


@op(
    *aten("adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d"),
    category="resampling",
    axes="resample",
)
def adaptive_avg_pool(self: TensorSpec, output_size: Any, *, out: TensorSpec) -> Work:
    """1 an input element, 1 an output element, as if windows did not overlap (they do when sizes do not divide)."""
    return Work(0, self.numel + out.numel)


@op(*aten("adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d"), category="resampling", axes="resample")
def adaptive_max_pool(self: TensorSpec, output_size: Any, *, out: Any) -> Work:
    """1 an input element, as if windows did not overlap (they do when sizes do not divide)."""
    return Work(0, self.numel)


@op("aten.pixel_shuffle.default", category="resampling", axes="pixel_shuffle")
def pixel_shuffle(self: TensorSpec, upscale_factor: int, *, out: TensorSpec) -> Work:
    """Nothing is computed: a copy in another order."""
    return Work()


@op("aten.pixel_unshuffle.default", category="resampling", axes="pixel_shuffle")
def pixel_unshuffle(self: TensorSpec, downscale_factor: int, *, out: TensorSpec) -> Work:
    """Nothing is computed: a copy in another order."""
    return Work()


@op(*aten("grid_sampler grid_sampler_2d grid_sampler_3d"), category="resampling", axes="resample")
def grid_sampler(
    input: TensorSpec,
    grid: TensorSpec,
    interpolation_mode: int,
    padding_mode: int,
    align_corners: bool,
    *,
    out: TensorSpec,
) -> Work:
    """An output element: 2^n products and 2^n - 1 additions over n axes (bilinear), nothing (nearest), 35 (bicubic);
    a sampled point: 4 an axis to unnormalise and 1 to round a coordinate, and bilinear 2n + 2^n (n - 1) for weights."""
    dims = len(input.shape) - 2
    corners: int = 2**dims
    element = {0: 2 * corners - 1, 1: 0, 2: 35}[interpolation_mode]
    point = 5 * dims + (2 * dims + corners * (dims - 1) if interpolation_mode == 0 else 0)
    return Work(0, element * out.numel + point * product(grid.shape[:-1]))
