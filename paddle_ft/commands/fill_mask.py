"""Guesses the masked words of a text, with the model as it was before training and as it is now."""

from __future__ import annotations

import argparse
import json

from paddle_ft.system.errors import UserError

HELP = "guesses masked words, before and after training"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run of masked_lm, e.g. runs/distilbert_imdb_mlm")
    parser.add_argument("texts", nargs="+", metavar="TEXT", help='e.g. "This is a great [MASK]."; several masks in a text are fine')
    parser.add_argument("--top", type=int, default=5, metavar="N", help="guesses for each mask (default: 5)")
    parser.add_argument("--json", action="store_true", help="the same as JSON")


def run(options: argparse.Namespace) -> int:
    if options.top < 1:
        raise UserError(f"--top {options.top}: at least one guess is needed.")
    from paddle_ft.runs import inference

    task = inference.open_run(options.run)
    if task.name != "masked_lm":
        raise UserError(f"fill-mask: {options.run} is a run of {task.name}; masked words are guessed by runs of masked_lm.")
    guesses = {"after": task.fill(options.texts, options.top, "after")}
    if task.config.model.pretrained is not None:
        guesses = {"before": _before(task).fill(options.texts, options.top, "before"), **guesses}
    if options.json:
        print(json.dumps([_as_json(text, guesses, i) for i, text in enumerate(options.texts)], ensure_ascii=False, indent=2))
    else:
        print("\n\n".join(_as_table(text, guesses, i, task.tokenizer.mask_token) for i, text in enumerate(options.texts)))
    return 0


def _before(task):
    """The task with the model that the run started from."""
    import tempfile
    from pathlib import Path

    from paddle_ft.models.bundle import load_bundle

    earlier = type(task)(task.config)
    with tempfile.TemporaryDirectory() as folder:
        earlier.set_model(load_bundle(task.config.model, earlier.model_request(None), Path(folder)))
    return earlier


def _as_json(text: str, guesses: dict, i: int) -> dict:
    return {
        "text": text,
        **{when: [[{"token": t, "probability": p} for t, p in mask] for mask in found[i]] for when, found in guesses.items()},
    }


def _as_table(text: str, guesses: dict, i: int, mask_token: str) -> str:
    titles = {"before": "before training", "after": "after training"}
    lines = [text]
    if "before" not in guesses:
        lines.append("(trained from scratch: there is no model to compare with)")
    for number in range(len(guesses["after"][i])):
        lines.append("")
        lines.append(f"{mask_token} {number + 1:<5}" + "".join(f"{titles[when]:<30}" for when in guesses).rstrip())
        for row in zip(*(found[i][number] for found in guesses.values()), strict=True):
            cells = "".join(f"{token:<20} {100 * p:5.1f} %  " for token, p in row)
            lines.append(" " * (len(mask_token) + 6) + cells.rstrip())
    return "\n".join(lines)
