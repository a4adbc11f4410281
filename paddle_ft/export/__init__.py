"""Export the model of a run: for Paddle Inference, for ONNX Runtime, or for transformers.

`export` does the work of the command. `graphs` has what becomes a program, `programs` and `to_onnx` save it, and `runner` is the
package that is copied into each export. Before an export gets its name, `check` compares it with the run's model on the texts
that `samples` chooses, and `metrics` measures what 8-bit weights lose. paddle2onnx and onnxruntime are an extra.
"""
