"""Use a finished run from Python: predict, generate, evaluate, and look at its results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paddle_ft.api.arguments import SEARCH_TYPES, check_options, check_overrides, list_texts, require_paddle
from paddle_ft.api.results import Evaluation, Plots
from paddle_ft.config.load import load_config
from paddle_ft.config.schema import BaseConfig
from paddle_ft.data.inputs import Text
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.system.errors import UserError
from paddle_ft.system.plugins import import_user_modules
from paddle_ft.system.runtime import prepare_cpu

if TYPE_CHECKING:
    from paddle_ft.tasks.base import Task


def load_run(path: str | Path, overrides: Mapping[str, Any] | None = None, imports: Sequence[str] = ()) -> Run:
    """Return the run in a directory. Its model is loaded when it is first used, and then kept.

    >>> run = paddle_ft.load_run("runs/bart_lcsts_sample")
    >>> run.predict("今天北京天气晴朗，市民纷纷出游")[0].keys()
    dict_keys(['source', 'prediction'])

    Args:
        path: the run's directory, such as "runs/bart_lcsts".
        overrides: section.key -> value, changes to the run's configuration, such as {"generation.num_beams": 8}.
        imports: modules with a task, source, format, metrics or architecture of your own (docs/extend.md).

    Raises:
        UserError: the directory has no run, or an override is wrong.
    """
    prepare_cpu()
    import_user_modules(imports)
    run = RunDirectory.open_existing(path)
    return Run(run.path, load_config(str(run / "config.yaml"), check_overrides(overrides)), overrides)


class Run:
    """A run: its directory, its results and its model. `train` and `load_run` return it.

    In a notebook a run shows its scores, curves and a few predictions.

    Attributes:
        path: the run's directory.
        config: its configuration, such as run.config.train.learning_rate.
    """

    def __init__(self, path: Path, config: BaseConfig, overrides: Mapping[str, Any] | None = None):
        self.path = path
        self.config = config
        self._overrides = dict(overrides or {})

    @property
    def results(self) -> dict[str, Any]:
        """The content of results.json: scores, baselines, scores before training, speed, versions. {} if it is not written yet."""
        return RunDirectory(self.path).results()

    @property
    def plots(self) -> Plots:
        """The plots in the run's folder plots/ by name, such as run.plots["loss"]. A notebook shows a plot as an image.

        They are drawn with the report, at the end of the training. A name that is not there raises a UserError.
        """
        return Plots(self.path / "plots")

    @property
    def report(self) -> Path:
        """The path of the run's report, an HTML page. `write_report` writes it again.

        Raises:
            UserError: there is no report yet, because the training has not ended.
        """
        path = self.path / "report.html"
        if not path.is_file():
            raise UserError(f"{self.path}: this run has no report yet; it is written at its end, or by write_report().")
        return path

    @cached_property
    def task(self) -> Task:
        """The task with its best model: task.model and task.tokenizer are PaddleNLP's objects. Loaded at the first use."""
        return self._open({})

    def _open(self, overrides: Mapping[str, Any]) -> Task:
        from paddle_ft.runs.inference import open_run

        require_paddle()
        return open_run(str(self.path), {**self._overrides, **overrides})

    def predict(self, texts: Text | Iterable[Text]) -> list[dict[str, Any]]:
        """Return a prediction for each text, in order.

        What a prediction has depends on the task. A summarization has "source" and "prediction"; a classification also has
        "probability" and "probabilities".

        >>> rows = run.predict(["今天北京天气晴朗，市民纷纷出游", "上海明天有大雨，请带好雨伞"])
        >>> len(rows)
        2

        Args:
            texts: a text, or several. For a task on pairs, a tuple (text, text_pair), or several; a list of two texts is two texts.

        Raises:
            UserError: the run has no model, or an entry is no text.
        """
        from paddle_ft.runs.inference import predict_texts

        listed = list_texts(texts)
        return predict_texts(self.task, listed, "predict", "predict") if listed else []

    def generate(
        self,
        prompt: str | None = None,
        *,
        n: int = 1,
        beams: int | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        temperature: float | None = None,
        repetition_penalty: float | None = None,
        no_repeat_ngram: int | None = None,
        seed: int | None = None,
        stream: bool = False,
        **task_options: Any,
    ) -> list[dict[str, Any]]:
        """Generate texts. The options are those of the command `generate`, and so are its messages: --top-k is top_k.

        >>> story = paddle_ft.load_run("runs/gpt2_booksum_sample")
        >>> texts = story.generate("The sea", n=2, top_k=50, temperature=0.8, length=20)
        >>> texts[0].keys()
        dict_keys(['prompt', 'text', 'tokens', 'stopped'])

        Args:
            prompt: beginning of the text, for a run of causal_lm.
            n: number of texts, --num-return on the command line.
            beams: beam search with this many beams; None: greedy search.
            top_k: sample from this many likeliest tokens; 0: from all tokens.
            top_p: sample from the likeliest tokens whose probabilities sum to this.
            temperature: sample with logits divided by this.
            repetition_penalty: above 1: make tokens that were used less likely.
            no_repeat_ngram: do not repeat any sequence of this many tokens.
            seed: seed of the sampling; None: the run's.
            stream: also print the text while it is generated.
            task_options: options of the run's task: length, stop_token, genre, title and author for causal_lm; seed_line, lines,
                noise and genre for lyrics.

        Returns:
            A dictionary for each text, with the text under "text".

        Raises:
            UserError: options exclude each other, or belong to runs of another task.
        """
        from paddle_ft.runs.write_texts import generate_rows, print_piece
        from paddle_ft.tasks import generation_flags

        values = {"prompt": prompt, "num_return": n, "beams": beams, "top_k": top_k, "top_p": top_p, "temperature": temperature,
                  "repetition_penalty": repetition_penalty, "no_repeat_ngram": no_repeat_ngram, "seed": seed}  # fmt: skip
        types = {**SEARCH_TYPES, **{flag.name: flag.type for flags in generation_flags().values() for flag in flags}}
        check_options({**values, **task_options}, types)
        rows = list(generate_rows(self.task, str(self.path), {**values, **task_options}, print_piece if stream else None))
        if stream:
            print()
        return rows

    def evaluate(self, split: str | None = None, overrides: Mapping[str, Any] | None = None) -> Evaluation:
        """Evaluate the model on a split of its data or, with overrides, on other data or with other settings.

        >>> evaluation = run.evaluate("test", {"data.test": "my_test.tsv"})
        >>> evaluation.split
        'test'
        >>> 0 <= evaluation.metrics["rougeL"] <= 100
        True

        Args:
            split: "train", "validation" or "test"; None: test, or validation if there is no test split.
            overrides: section.key -> value, changes to the configuration for this evaluation. The model is then loaded again.

        Raises:
            UserError: an override is wrong, or the data cannot be read.
        """
        from paddle_ft.data.splits import SPLITS
        from paddle_ft.runs.inference import evaluate_split

        if split not in (None, *SPLITS):
            raise UserError(f"evaluate: {split!r} is not a split: name one of {', '.join(SPLITS)}.")
        task = self._open(check_overrides(overrides)) if overrides else self.task
        name, scores, baseline = evaluate_split(task, split, str(self.path))
        return Evaluation(name, scores.metrics, baseline, scores.predictions)

    def fill_mask(self, texts: str | Iterable[str], top: int = 5) -> list[dict[str, Any]]:
        """Return guesses for the masked words of texts, by the model before and after training. For runs of masked_lm.

        Args:
            texts: a text with mask tokens ("This is a great [MASK]."), or several.
            top: number of guesses for each mask.

        Returns:
            {"text", "before", "after"} for each text. "before" and "after" have, for each mask, the guesses {"token",
            "probability"}, likeliest first. A run that started from scratch has no "before".

        Raises:
            UserError: the run has another task, or a text has no mask or too many tokens.
        """
        from paddle_ft.runs.fill_mask import guess_masks

        check_options({"top": top}, {"top": int})
        if top < 1:
            raise UserError(f"top is {top}: it must be at least 1.")
        listed = list_texts(texts)
        singles = [text for text in listed if isinstance(text, str)]
        if len(singles) < len(listed):
            raise UserError("fill_mask: give single texts, not pairs.")
        return [guesses.as_json() for guesses in guess_masks(self.task, str(self.path), singles, top, lambda task: self._untrained)]

    @cached_property
    def _untrained(self) -> Any:
        """The task with the model before training."""
        from paddle_ft.runs.fill_mask import task_before_training

        return task_before_training(self.task)

    def write_report(self) -> Path:
        """Write the plots and the report again, and return the path of the report. The run may be unfinished."""
        from paddle_ft.reporting.page import write_report

        return write_report(self.path)

    def __repr__(self) -> str:
        results = self.results
        best = results.get("best") or {}
        score = f", best {best['metric']} {best['value']:.4g} at step {best['step']}" if best else ""
        return f"<Run {str(self.path)!r}: {self.config.recipe}, {results.get('status', 'not started')}{score}>"

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from paddle_ft.reporting.notebook import run_html

        return run_html(self.path)
