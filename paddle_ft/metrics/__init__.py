"""Scores, their confidence intervals and simple baselines, from texts and arrays. No module here imports paddle."""
