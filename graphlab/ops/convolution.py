"""Convolutions, grouped, dilated, strided and transposed, in one to three dimensions, with or without a batch.

input (*batch, channels, *space), weight (out channels, channels / groups, *kernel); a transposed one has
weight (channels, out channels / groups, *kernel). Work at padded positions counts, as in torch's counter.
"""

from __future__ import annotations

from typing import Any

from graphlab.graph import TensorSpec
from graphlab.ops.rule import Work, op
from graphlab.ops.sizes import aten, product


def _work(input: TensorSpec, weight: TensorSpec, bias: TensorSpec | None, transposed: bool, out: TensorSpec) -> Work:
    taps = product(weight.shape[2:]) * weight.shape[1]
    return Work(2 * (input if transposed else out).numel * taps, out.numel if bias is not None else 0)


def _conv(dims: int) -> Any:
    """The rule of convNd: the schema differs from one N to the next only in the length of its defaults."""
    ones, zeros = (1,) * dims, (0,) * dims

    @op(f"aten.conv{dims}d.default", category="convolution", axes="convolution")
    def conv(
        input: TensorSpec,
        weight: TensorSpec,
        bias: TensorSpec | None = None,
        stride: Any = ones,
        padding: Any = zeros,
        dilation: Any = ones,
        groups: Any = 1,
        *,
        out: TensorSpec,
    ) -> Work:
        """2 * output elements * (channels / groups) * kernel; the bias adds one pointwise FLOP an output element."""
        return _work(input, weight, bias, False, out)

    return conv


def _conv_padding(dims: int) -> Any:
    """The rule of convNd with `padding` as a word."""
    ones = (1,) * dims

    @op(f"aten.conv{dims}d.padding", category="convolution", axes="convolution")
    def conv(
        input: TensorSpec,
        weight: TensorSpec,
        bias: TensorSpec | None = None,
        stride: Any = ones,
        padding: str = "valid",
        dilation: Any = ones,
        groups: Any = 1,
        *,
        out: TensorSpec,
    ) -> Work:
        """As convNd; `padding` is "same" or "valid"."""
        return _work(input, weight, bias, False, out)

    return conv


def _conv_transpose(dims: int) -> Any:
    """The rule of conv_transposeNd; its overload is called `input` where N > 1."""
    ones, zeros = (1,) * dims, (0,) * dims
    overload = "default" if dims == 1 else "input"

    @op(f"aten.conv_transpose{dims}d.{overload}", category="convolution", axes="convolution")
    def conv(
        input: TensorSpec,
        weight: TensorSpec,
        bias: TensorSpec | None = None,
        stride: Any = ones,
        padding: Any = zeros,
        output_padding: Any = zeros,
        groups: Any = 1,
        dilation: Any = ones,
        *,
        out: TensorSpec,
    ) -> Work:
        """2 * input elements * (out channels / groups) * kernel; the bias one pointwise FLOP an output element."""
        return _work(input, weight, bias, True, out)

    return conv


conv1d, conv2d, conv3d = _conv(1), _conv(2), _conv(3)
conv1d_padding, conv2d_padding, conv3d_padding = _conv_padding(1), _conv_padding(2), _conv_padding(3)
conv_transpose1d, conv_transpose2d, conv_transpose3d = _conv_transpose(1), _conv_transpose(2), _conv_transpose(3)


@op(*aten("convolution convolution_overrideable"), category="convolution", axes="convolution")
def convolution(
    input: TensorSpec,
    weight: TensorSpec,
    bias: TensorSpec | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: Any,
    *,
    out: TensorSpec,
) -> Work:
    """As convNd, or conv_transposeNd when `transposed`."""
    return _work(input, weight, bias, transposed, out)


@op("aten._convolution.default", category="convolution", axes="convolution")
def convolution_flags(
    input: TensorSpec,
    weight: TensorSpec,
    bias: TensorSpec | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: Any,
    benchmark: bool,
    deterministic: bool,
    cudnn_enabled: bool,
    allow_tf32: bool,
    *,
    out: TensorSpec,
) -> Work:
    """As convolution; a traced TorchScript model holds it."""
    return _work(input, weight, bias, transposed, out)


@op("aten._convolution_mode.default", category="convolution", axes="convolution")
def convolution_mode(
    input: TensorSpec,
    weight: TensorSpec,
    bias: TensorSpec | None,
    stride: Any,
    padding: str,
    dilation: Any,
    groups: Any,
    *,
    out: TensorSpec,
) -> Work:
    """As convNd; `padding` is "same" or "valid"."""
    return _work(input, weight, bias, False, out)
