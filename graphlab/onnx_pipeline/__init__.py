"""Folders of ONNX models that are one pipeline: their layout, and running them."""
