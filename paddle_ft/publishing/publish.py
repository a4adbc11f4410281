"""Publish a run: check it, write its model card if it has none, and upload its files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from paddle_ft.config.load import load_config
from paddle_ft.publishing import aistudio, huggingface
from paddle_ft.publishing.files import CARD, collect_files, find_left_out, list_files
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.runs.integrity import find_damage
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import print_info

HUBS: dict[str, ModuleType] = {"aistudio": aistudio, "huggingface": huggingface}
MOST_LEFT_OUT = 10  # names of files that stay here, in a message


def publish(
    path: str, hub: str, repo: str, public: bool, dry_run: bool, with_texts: bool, message: str | None, added: Sequence[str] = ()
) -> str:
    """Upload the best checkpoint of a run.

    Args:
        path: the run's directory.
        hub: a key of HUBS.
        repo: the repository, USER/NAME. It is created if it does not exist.
        public: whether everybody may see a repository that is created.
        dry_run: upload nothing, and contact nobody.
        with_texts: also upload the predictions and the report, which quote texts of the data.
        message: the message of the commits. None: one that names the run.
        added: names of files in best/ that the training has not written, to be uploaded too.

    Returns:
        What to print at the end: the address of the repository and how to load the model, or what would be uploaded.

    Raises:
        UserError: the name is not valid, there is no token, the run cannot be published, or the upload fails.
    """
    module = HUBS[hub]
    _check_name(repo)
    target = module.find_target(repo)
    run = _open_publishable(path)
    collect_files(run, with_texts, added)  # before a card is written, so that a wrong flag changes nothing
    if not dry_run:
        module.find_token(target)  # before a card is written too
        _refuse_live(run)
    if not dry_run and not (run / "best" / CARD).is_file():
        from paddle_ft.reporting.card import write_card

        print_info(f"wrote the model card {write_card(run.path)}")
    files = collect_files(run, with_texts, added)
    left_out = _describe_left_out(find_left_out(run, files))
    if dry_run:
        missing = "" if (run / "best" / CARD).is_file() else f"  {CARD} would be written first, from the run's results\n"
        visibility = "public" if public else "private"
        return f"would upload to {target.url}, {visibility} if it is new:\n{missing}{list_files(files)}\n{left_out}nothing was sent"
    print_info(f"{list_files(files)}\n{left_out}".rstrip())
    module.upload(target, files, public, message or f"paddle_ft: {run.path.resolve().name}")
    return f"published: {target.url}\n\n{_loading_code(run.path, repo, module.LOAD)}"


def _check_name(repo: str) -> None:
    """Raise UserError if a repository's name is not of the form USER/NAME."""
    parts = repo.split("/")
    if len(parts) != 2 or not all(parts) or repo != "".join(repo.split()):
        raise UserError(f"--repo {repo}: write it as USER/NAME, where USER is your name on the hub, without spaces.")


def _open_publishable(path: str) -> RunDirectory:
    """Return a run with an intact best checkpoint. Say so if the training has not finished."""
    run = RunDirectory.open_existing(path)
    best = run / "best"
    if not best.is_dir():
        raise UserError(f"{path}: this run has no best checkpoint yet (no folder best/). Let it train until its first evaluation.")
    if problem := find_damage(best):
        raise UserError(f"{best}: this model is damaged: {problem}. Nothing was uploaded. Train again, or publish another run.")
    if not run.is_finished() or run.is_being_trained():
        train = load_config(str(run / "config.yaml")).train
        if note := run.describe_unfinished("best", train.max_steps, train.num_train_epochs):
            print_info(note)
    return run


def _refuse_live(run: RunDirectory) -> None:
    """Raise UserError for a run that is still being trained: its next best/ would replace files in the middle of the upload."""
    if run.is_being_trained():
        raise UserError(
            f"{run.path}: a training is running in this directory and may replace best/ during the upload. Nothing was written or"
            " sent. Publish the run when its training has ended, or stop it with Ctrl-C before. --dry-run works at any time."
        )


def _describe_left_out(names: list[str]) -> str:
    """Return a line about the files of best/ that stay here, "" if there are none."""
    if not names:
        return ""
    shown = ", ".join(names[:MOST_LEFT_OUT]) + (f" and {len(names) - MOST_LEFT_OUT} more" if len(names) > MOST_LEFT_OUT else "")
    return f"left out, because the training has not written them: {shown}. To upload one: --add NAME\n"


def _loading_code(run: Path, repo: str, arguments: str) -> str:
    """Return the Python lines that load a published model with PaddleNLP.

    They name the tokenizer's own class, because PaddleNLP's AutoTokenizer looks for its configuration on Baidu's server of built-in
    models, whichever hub it is told.
    """
    best = run / "best"
    model = next(iter(_read(best / "config.json").get("architectures") or ["AutoModel"]))
    tokenizer = _read(best / "tokenizer_config.json").get("tokenizer_class") or "AutoTokenizer"
    return (
        f"from paddlenlp.transformers import {model}, {tokenizer}\n\n"
        f'model = {model}.from_pretrained("{repo}"{arguments})\n'
        f'tokenizer = {tokenizer}.from_pretrained("{repo}"{arguments.replace(", convert_from_torch=False", "")})'
    )


def _read(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file, {} if it does not exist."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
