"""Describe a run's model for the runner of its export: the content of export.json, without the graphs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from paddle_ft.data.text import SPACELESS, regex_class
from paddle_ft.export.graphs import kind_of
from paddle_ft.system.version import __version__

if TYPE_CHECKING:
    from paddle_ft.generation import GenerationOptions
    from paddle_ft.tasks.base import Task

# Fields of GenerationOptions that the runner's search knows. It does not sample.
SEARCH = ("max_length", "max_new_tokens", "min_length", "num_beams", "length_penalty", "early_stopping", "no_repeat_ngram_size",
          "repetition_penalty", "forced_bos_token_id", "forced_eos_token_id", "eos_token_id")  # fmt: skip


def runner_settings(task: Task) -> dict[str, Any]:
    """Return what the runner needs to know besides the graphs and the tokenizer.

    Args:
        task: the task with its model.
    """
    kind = kind_of(task.name)
    settings = {
        "paddle_ft": __version__,
        "task": task.name,
        "kind": kind,
        "architecture": task.bundle.architecture.name,
        "takes_pairs": task.takes_pairs,
        "batch_size": task.config.eval.eval_batch_size,
        "pad_token_id": task.model.config.pad_token_id,
        "truncate": None,
    }
    return {**settings, **_OWN[kind](task)}


def _classification(task: Any) -> dict[str, Any]:
    return {"labels": task.names, "truncate": task.options.max_text_length}


def _masked_lm(task: Any) -> dict[str, Any]:
    return {
        "mask_token": task.tokenizer.mask_token,
        "mask_token_id": task.tokenizer.mask_token_id,
        "max_input_length": task.max_input_length,
        "wordpiece": task.vocabulary.wordpiece,
    }


def _seq2seq(task: Any) -> dict[str, Any]:
    lines = None
    if task.name == "lyrics":
        from paddle_ft.tasks.lyrics.pairs import SEPARATOR

        prefixes = task.known_prefixes() if task.options.prefix else []
        lines = {"context": task.options.context_lines, "separator": SEPARATOR, "prefixes": prefixes}
    return {
        "truncate": task.options.max_source_length,
        "decoder_start_token_id": task.model.config.decoder_start_token_id,
        "generation": search_settings(task),
        "spaceless": regex_class(SPACELESS),
        "lines": lines,
    }


def _causal_lm(task: Any) -> dict[str, Any]:
    from paddle_ft.tasks.causal_lm import BOS, EOS

    return {
        "max_input_length": task.model.config.max_position_embeddings,
        "bos_token": BOS,
        "eos_token": EOS,
        "prompt": task.example({"text": "{text}"}).removesuffix(EOS),
        "generation": search_settings(task),
    }


def search_options(task: Any) -> GenerationOptions:
    """Return the options with which `predict` generates in a run of this task."""
    if task.name != "causal_lm":
        return task.generation_options()
    from paddle_ft.generation import GenerationOptions
    from paddle_ft.tasks.causal_lm import CONTINUATION_LENGTH

    return GenerationOptions(max_new_tokens=min(CONTINUATION_LENGTH, task.model.config.max_position_embeddings // 2))


def search_settings(task: Any) -> dict[str, Any]:
    """Return the options of the search as the runner, and transformers, know them, with the model's own end token."""
    values = asdict(search_options(task))
    settings = {name: values[name] for name in SEARCH}
    return settings if settings["eos_token_id"] is not None else {**settings, "eos_token_id": task.model.config.eos_token_id}


_OWN = {"classification": _classification, "masked_lm": _masked_lm, "seq2seq": _seq2seq, "causal_lm": _causal_lm}
