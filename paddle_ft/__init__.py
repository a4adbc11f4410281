"""Fine-tune language models on PaddlePaddle with recipes that train, evaluate and report."""

__version__ = "0.2.0"
