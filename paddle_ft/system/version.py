"""The version of paddle_ft."""

__version__ = "0.2.0"
