"""ONNX models: the only room with onnxruntime."""
