"""Models and their tokenizers, and every change made to a model after it is loaded."""
