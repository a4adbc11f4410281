"""Load tokenizers, build new ones from texts, and encode whole data sets."""
