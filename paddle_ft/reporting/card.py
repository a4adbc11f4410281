"""Write the model card of a run: README.md beside its best checkpoint, in the form that model hubs show.

The card names local files and folders without their path, because it is meant to be published.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePath
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from convert import families
from paddle_ft.config.yaml_text import dump_yaml
from paddle_ft.data.splits import names_files
from paddle_ft.metrics.registry import find_metric
from paddle_ft.reporting.formats import DASH, format_fact, has_generated_texts
from paddle_ft.reporting.layout import markdown_table
from paddle_ft.reporting.page import best_checkpoint, data_table, score_tables
from paddle_ft.reporting.records import Run, read_run
from paddle_ft.system.errors import UserError
from paddle_ft.system.files import read_object, write_atomically

NAME = "README.md"
# ending of the architecture's name -> (the hubs' name of what the model does, its class in transformers)
USES = {
    "ForSequenceClassification": ("text-classification", "AutoModelForSequenceClassification"),
    "ForMaskedLM": ("fill-mask", "AutoModelForMaskedLM"),
    "ForConditionalGeneration": ("text2text-generation", "AutoModelForSeq2SeqLM"),
    "ForCausalLM": ("text-generation", "AutoModelForCausalLM"),
}
PIPELINES = {"summarization": "summarization"}  # task -> what the hubs call it, where they have a name of its own
GENERATED = (
    "Generated text can be false, and can repeat what is offensive or private in the training texts. Have a person read it before"
    " it is published."
)
GENERAL = "The model has learned from these texts, with their errors and one-sidedness. Expect lower scores on other kinds of text."


def write_card(run_dir: str | Path) -> Path:
    """Write the model card into the folder best/ of a run.

    Args:
        run_dir: directory of the run.

    Returns:
        The path of the card.

    Raises:
        UserError: the directory has no run, or the run has no best checkpoint.
    """
    run = read_run(run_dir)
    folder = run.path / "best"
    try:
        model = read_object(folder / "config.json")
    except UserError as error:
        raise UserError(f"{error}; there is no model to write a card for") from None
    text = _template().render(**_content(run, model))
    write_atomically(folder / NAME, re.sub(r"\n{3,}", "\n\n", text).strip() + "\n")
    return folder / NAME


class _Code(str):
    """A text for a block of code, where nothing needs to be escaped but the end of the block."""


def _escape(value: object) -> object:
    """Return a value as the card shows it. Markdown takes HTML as it is, and names of classes and files may have some.

    Nor may a text begin a block of code, because the next block of code would end it, and would not be one.
    """
    if not isinstance(value, str):
        return value
    text = value.replace("```", "` ` `").replace("~~~", "~ ~ ~")
    return text if isinstance(value, _Code) else text.replace("<", "&lt;")


def _one_line(text: str) -> str:
    return " ".join(text.split())


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # it is Markdown
        finalize=_escape,
    )
    return environment.get_template("card.md")


def _content(run: Run, model: dict[str, Any]) -> dict[str, Any]:
    """Return the values of the template."""
    architectures = model.get("architectures")
    architecture = str(architectures[0]) if isinstance(architectures, list) and architectures else "AutoModel"
    use = next((use for ending, use in USES.items() if architecture.endswith(ending)), (None, None))
    convertible = any(model.get("model_type") == family.paddle_type for family in families.load_families().values())
    results = run.results
    data = data_table(run)
    return {
        "title": _one_line(run.title),
        "name": _one_line(run.title),
        "task": run.task,
        "model_type": model.get("model_type", "unknown"),
        "pipeline": PIPELINES.get(run.task, use[0]),
        "architecture": architecture,
        "transformers_class": use[1] if convertible else None,
        "version": (results.get("versions") or {}).get("paddle_ft", ""),
        "sample": run.sample,
        "sample_texts": "generated text" if has_generated_texts(run.config) else "data of its user's own",
        "unfinished": not run.finished,
        "origin": _origin(run, architecture),
        "source": _source(run.config.get("data") or {}),
        "data_table": markdown_table(["", *data["splits"]], [[label, *cells] for label, cells in data["rows"]]),
        "data_facts": data["without_split"],
        "has_fingerprint": any(label == "fingerprint" for label, _ in data["rows"]),
        "scores": [(table["split"], _score_table(table)) for table in score_tables(run)] if results.get("metrics") else [],
        "best": best_checkpoint(run),
        "seed": run.config.get("seed", DASH),
        "settings": _Code(dump_yaml(without_paths({name: run.config.get(name) for name in ("seed", "model", "task", "train")}))),
        "decisions": _decisions(run),
        "training": [
            *(format_fact(*item) for item in (results.get("train") or {}).items()),
            ("versions", ", ".join(f"{name} {version}" for name, version in (results.get("versions") or {}).items())),
        ],
        "limits": _limits(run, architecture),
    }


def _origin(run: Run, architecture: str) -> str:
    """Return the sentence on what the model is and what its weights were before the training."""
    settings = run.config.get("model") or {}
    pretrained = settings.get("pretrained")
    count = (run.results.get("model") or {}).get("parameters")
    size = f" with {count:,} parameters" if isinstance(count, int) else ""
    if not pretrained:
        return f"A `{architecture}`{size}, trained from scratch."
    lora = ", with LoRA; the adapters are merged into the weights" if settings.get("lora") else ""
    return f"A `{architecture}`{size}, fine-tuned from `{_short(str(pretrained))}`{lora}."


def _source(data: dict[str, Any]) -> str:
    """Return where the rows come from: the source, and the names of the user's own files."""
    parts = [f"`{data['source']}`"] if data.get("source") else []
    if data.get("name"):
        parts.append(f"part `{data['name']}`")
    for split in ("train", "validation", "test"):
        value = data.get(split)
        if value:
            shown = ", ".join(f"`{_short(str(item))}`" for item in (value if isinstance(value, list) else [value]))
            parts.append(f"{split} {'files' if names_files(value) else 'split'} {shown}")
    return ", ".join(parts) or "not recorded"


def _limits(run: Run, architecture: str) -> list[str]:
    limits = [GENERAL]
    for name, length in (run.config.get("task") or {}).items():
        if name.startswith("max_") and name.endswith("_length"):
            limits.append(f"A {name[4:-7]} of more than {length} tokens is cut (`task.{name}`).")
    if architecture.endswith(("ForConditionalGeneration", "ForCausalLM")):
        limits.append(GENERATED)
    limits.append("Check that the licences of the data and of the pretrained model allow what you want to do with it.")
    return limits


def _score_table(table: dict[str, Any]) -> str:
    """Return a table of page.score_tables as Markdown."""
    rows = []
    for row in table["rows"]:
        better = " (lower is better)" if row["lower"] else ""
        rows.append([find_metric(row["key"]).title + better, *(f"{score} {interval}".strip() for score, interval in row["cells"])])
    return markdown_table(["", *table["columns"]], rows)


def without_paths(value: Any) -> Any:
    """Return settings in which each text that is the path of a local file or folder is reduced to its last part."""
    if isinstance(value, dict):
        return {name: without_paths(item) for name, item in value.items()}
    if isinstance(value, list):
        return [without_paths(item) for item in value]
    return _short(value) if isinstance(value, str) else value


_FOLDERS = re.compile(r"(?<![\w/.<-])(?:~?/|[A-Za-z]:[/\\])(?:[^\s:;,'\"]*[/\\])?(?=[\w.])")  # the folders of an absolute path


def _decisions(run: Run) -> list[str]:
    """Return the decisions with absolute paths reduced to their last part. A folder's name in the settings may contain spaces."""
    patterns = [run.config.get("data") or {}, run.config.get("model") or {}]
    folders = {str(PurePath(text).parent) for text in _texts(patterns) if PurePath(text).is_absolute()} - {"/"}
    known = re.compile("|".join(re.escape(folder) + r"[/\\]" for folder in sorted(folders, key=len, reverse=True)) or "(?!)")
    return [_FOLDERS.sub("", known.sub("", decision)) for decision in run.decisions]


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts in nested settings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _short(text: str) -> str:
    """Return the last part of an absolute path, or of one that exists here; an id such as facebook/bart-base stays as it is."""
    is_path = text.startswith(("/", "~", ".", "\\")) or PurePath(text).is_absolute() or Path(text).expanduser().exists()
    return PurePath(text.rstrip("/")).name or text if is_path else text
