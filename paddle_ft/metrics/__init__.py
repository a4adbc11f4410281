"""Scores, confidence intervals and simple baselines, computed from texts and arrays. No module here imports paddle."""
