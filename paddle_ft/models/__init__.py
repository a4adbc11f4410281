"""Load and build models with their tokenizers, and change loaded models (LoRA, attention, recompute, compile)."""
