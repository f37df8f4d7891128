"""ONNX models as graphs the analyses read."""
