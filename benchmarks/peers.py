"""What the scripts need of transformers, in version 4 and 5. They import this in the other Python, which has no paddle_ft."""

from __future__ import annotations

import inspect

# hides AVX-512 from MKL, oneDNN and torch, to measure as on a processor that has only AVX2
AVX2 = {"MKL_DEBUG_CPU_TYPE": "5", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}


def training_arguments(grouped: bool, **settings):
    """Return transformers' TrainingArguments. The setting that groups rows by length has another name in version 5.

    Args:
        grouped: whether batches have rows of similar length.
        settings: the other settings, which have the same names in both versions.
    """
    from transformers import TrainingArguments

    if "group_by_length" in inspect.signature(TrainingArguments.__init__).parameters:
        settings["group_by_length"] = grouped
    else:
        settings["train_sampling_strategy"] = "group_by_length" if grouped else "random"
    return TrainingArguments(**settings)


def versions(*packages: str) -> str:
    """Return the installed versions of packages, as in "transformers 5.23.0, torch 2.13.0"."""
    from importlib.metadata import version

    return ", ".join(f"{package} {version(package)}" for package in packages)
