"""paddle_ft: fine-tuning on PaddlePaddle, from one line to honest figures."""

__version__ = "0.1.0"
