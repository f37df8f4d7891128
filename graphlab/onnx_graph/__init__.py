"""ONNX models as graphs the analyses read."""

from graphlab.onnx_graph.read import OnnxRead, read_onnx

__all__ = ["OnnxRead", "read_onnx"]
