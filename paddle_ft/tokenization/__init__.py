"""Tokenizers: loading them, building new ones, and encoding whole data sets."""
