"""Programs as ONNX models: translated, written, checked."""
