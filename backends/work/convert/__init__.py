"""A model made into another file, and that file asked the same as the model: merged, GGUF, ONNX."""
