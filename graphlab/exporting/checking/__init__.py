"""Checking a written model: its structure, and ONNX Runtime against PyTorch, each in a process of its own."""
