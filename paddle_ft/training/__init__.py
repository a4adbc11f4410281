"""From a checked configuration to a trained, measured model."""
