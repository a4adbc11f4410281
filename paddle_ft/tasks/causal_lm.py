"""Causal language modelling: a text -> its next token, over and over. GPT-2 learns to write texts of a kind.

Source: the tutorial on fine-tuning GPT-2 on book summaries (PaddleNLP); Radford et al. (2019), Language Models are
Unsupervised Multitask Learners.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from paddle_ft.data.batches import pad
from paddle_ft.data.blocks import BlockRows, cut_blocks
from paddle_ft.data.rows import Rows
from paddle_ft.models import bundle as models
from paddle_ft.system.errors import UserError
from paddle_ft.tasks.base import Dataset, Flag, TaskOptions
from paddle_ft.tasks.masked_lm.masking import IGNORE
from paddle_ft.tasks.shared.language_modeling import LanguageModel

BOS, EOS, PAD = "<BOS>", "<EOS>", "<PAD>"
SPLIT_SEED = 2022  # of the split of one set of texts: the same in every run, whatever its seed
HEADINGS = {"genres": "Genres", "title": "Title", "author": "Author"}
LENGTH = 300  # tokens that `generate` writes at most, as in the tutorial
CONTINUED = 60  # tokens that `predict` adds to a text


class Options(TaskOptions):
    """Causal language modelling: <BOS> text <EOS>."""

    name: Literal["causal_lm"] = Field(description="the task")
    max_text_length: int = Field(1024, ge=4, description="tokens of an example or packed block; longer texts are cut and counted")
    packed: bool = Field(False, description="false: a text an example; true: texts joined and cut into blocks, nothing lost")
    metadata: list[Literal["genres", "title", "author"]] = Field(
        default_factory=list, description="put these before each text ('Title: ...'), so that generate --title can prompt with them"
    )
    validation_share: float = Field(0.2, ge=0, lt=1, description="of the texts, where no validation and test data are given")
    test_share: float = Field(0.1, ge=0, lt=1, description="likewise")


class CausalLM(LanguageModel):
    name = "causal_lm"
    kind = "causal_lm"
    Options = Options
    optional_fields = ("genres", "title", "author")
    generation_flags = (
        Flag("prompt", str, "TEXT", f'beginning of the text (default: "{BOS}"), also after --title etc.'),
        Flag("stop_token", str, "TOKEN", f'token that ends a text (default: "{EOS}")'),
        Flag("length", int, "N", f"number of tokens at most (default: {LENGTH} if they fit)"),
        Flag("genre", str, "NAMES", "genres to prompt with; for runs trained with task.metadata"),
        Flag("title", str, "TITLE", "title to prompt with; for runs trained with task.metadata"),
        Flag("author", str, "NAME", "author to prompt with; for runs trained with task.metadata"),
    )

    def __init__(self, config):
        super().__init__(config)
        self.written: dict[str, list[str]] = {}

    # -------------------------------------------------------------------------------- model
    def special_tokens(self, train: Rows | None) -> dict[str, Any]:
        return {"bos_token": BOS, "eos_token": EOS, "pad_token": PAD}

    def load_model(self, folder: Path, train: Rows | None) -> None:
        name = self.config.model.pretrained
        if name is not None:
            architectures = models.read_config(models.resolve(name, self.kind)).get("architectures") or []
            if "GPTForTokenClassification" in architectures:
                raise UserError(
                    f"model.pretrained: {name}: its output head differs from its input embedding, and PaddleNLP's GPT-2 has only"
                    " one of the two: this model cannot be trained here."
                )
        super().load_model(folder, train)
        ids = {f"{role}_token_id": getattr(self.tokenizer, f"{role}_token_id") for role in ("bos", "eos", "pad")}
        for settings in (self.model.config, self.model.generation_config):
            for key, value in ids.items():
                setattr(settings, key, value)

    def _use(self, loaded) -> None:
        from paddle_ft.models.lm_heads import freeze_row

        super()._use(loaded)
        if getattr(self.model.config, "use_flash_attention", False):
            raise UserError("model.config.use_flash_attention: PaddleNLP's GPT then ignores the attention mask: leave it off.")
        freeze_row(models.input_embedding(self.model).weight, self.tokenizer.pad_token_id)

    def logits(self, batch: dict[str, Any]):
        from paddle_ft.models.lm_heads import causal_lm_logits

        return causal_lm_logits(self.model, batch["input_ids"], batch["positions"])

    # -------------------------------------------------------------------------------- data
    def arrange(self, rows: dict[str, Rows]) -> dict[str, Rows]:
        """Splits one set of texts by a fixed seed, where there is no other split."""
        if list(rows) != ["train"]:
            return rows
        every, options = rows["train"], self.options
        order = np.random.default_rng(SPLIT_SEED).permutation(len(every))
        test = round(options.test_share * len(every))
        validation = round(options.validation_share * len(every))
        parts = {"train": order[test + validation :], "validation": order[test : test + validation], "test": order[:test]}
        if not len(parts["train"]):
            raise UserError(f"task.validation_share, task.test_share: of {len(every)} texts none is left to train on.")
        return {
            split: Rows([every.rows[i] for i in chosen], every.bad if split == "train" else [], every.files)
            for split, chosen in parts.items()
            if len(chosen)
        }

    def example(self, row: dict[str, str]) -> str:
        """One text as it is trained on. Tokens of its own around a text, as in files written before, are not doubled."""
        text = row["text"].strip().removeprefix(BOS).removesuffix(EOS).strip()
        headings = "".join(f"{HEADINGS[name]}: {row[name]}. " for name in self.options.metadata if row.get(name))
        return f"{BOS}{headings}{'Summary: ' if self.options.metadata else ''}{text}{EOS}"

    def encode(self, rows: Rows, split: str) -> Dataset:
        from paddle_ft.tokenization.encode import encode_texts

        options, positions = self.options, self.model.config.max_position_embeddings
        if options.max_text_length > positions:
            raise UserError(
                f"task.max_text_length: {options.max_text_length} tokens, but the model has only {positions} positions: lower it."
            )
        texts = self.written[split] = [self.example(row) for row in rows.rows]
        limit = None if options.packed else options.max_text_length
        cache = self.config.data.cache
        encoded = encode_texts(self.fast_tokenizer, texts, max_length=limit, label=f"tokenise {split}", cache=cache)
        info = {"rows": len(rows), "texts": len(rows), "tokens": len(encoded.flat), "bad_rows": len(rows.bad)}
        if not options.packed:
            info |= {"truncated_text": encoded.truncated, "truncated_text_share": round(encoded.truncated / len(rows), 4)}
            return Dataset(split, rows.rows, {"ids": encoded}, encoded.lengths, info)
        blocks = [ids for ids in cut_blocks(encoded.flat, options.max_text_length, keep_last=True) if len(ids) > 1]
        lengths = np.array([len(ids) for ids in blocks])
        return Dataset(split, BlockRows(self.fast_tokenizer, blocks), {"ids": blocks}, lengths, {**info, "rows": len(blocks)})

    def run_files(self) -> dict[str, str]:
        """The texts of each split as they are trained on, one a line."""
        names = {"train": "train", "validation": "valid", "test": "test"}
        return {
            f"{names[split]}.txt": "".join(" ".join(text.splitlines()) + "\n" for text in texts)
            for split, texts in self.written.items()
        }

    def collate(self, dataset: Dataset, indices: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """input_ids [b, s], padded on the right; positions [n], places after which a real token follows; target_ids [n],
        those tokens. Padding is no target, though it is a token."""
        multiple, most = self.config.train.pad_to_multiple_of, self.model.config.max_position_embeddings
        ids = pad([dataset.columns["ids"][i] for i in indices], self.tokenizer.pad_token_id, multiple, most)
        labels = np.full_like(ids, IGNORE)
        labels[:, :-1] = ids[:, 1:]
        labels[labels == self.tokenizer.pad_token_id] = IGNORE
        positions = np.flatnonzero(labels.reshape(-1) != IGNORE)
        return {"input_ids": ids, "positions": positions, "target_ids": labels.reshape(-1)[positions]}

    def train_tokens(self, train: Dataset) -> list[np.ndarray]:
        return [train.columns["ids"][i][1:] for i in range(len(train))]

    # -------------------------------------------------------------------------------- for people
    def shown_row(self, dataset: Dataset, row: int, guesses: np.ndarray, perplexity: float) -> dict[str, Any]:
        return {"source": dataset.rows[row]["text"], "tokens": len(guesses), "perplexity": round(perplexity, 2)}

    def preview(self, dataset: Dataset, count: int = 2) -> str:
        blocks = []
        for i in range(min(count, len(dataset))):
            batch = self.collate(dataset, np.array([i]), np.random.default_rng(0))
            blocks.append(f"input    {self._tokens(batch['input_ids'][0])}\ntargets  {self._tokens(batch['target_ids'])}")
        return "\n\n".join(blocks)

    def _tokens(self, ids, most: int = 40) -> str:
        tokens = " ".join(str(self.fast_tokenizer.id_to_token(int(i))) for i in ids[:most])
        return f"{tokens} ..." if len(ids) > most else tokens

    def predict(self, texts: list[str], label: str) -> list[dict[str, Any]]:
        """Each text with its likeliest continuation (greedy). Of a text that leaves no room for it, the end is read."""
        from paddle_ft.generation import GenerationOptions, generate_all

        positions = self.model.config.max_position_embeddings
        more = min(CONTINUED, positions // 2)
        starts = [self.example({"text": text}).removesuffix(EOS) for text in texts]
        prompts = [self.fast_tokenizer.encode(start).ids[more - positions :] for start in starts]
        options = GenerationOptions(max_new_tokens=more)
        outputs = generate_all(self.model, prompts, options, self.config.eval.eval_batch_size, label)
        return [{"source": text, "prediction": self._text(ids)} for text, (ids, *_) in zip(texts, outputs, strict=True)]

    def _text(self, ids) -> str:
        return self.fast_tokenizer.decode([int(i) for i in ids], skip_special_tokens=True).strip()

    # -------------------------------------------------------------------------------- python -m paddle_ft generate
    def prompt(self, flags: dict[str, Any]) -> str:
        """The prompt as training texts begin: its metadata, and after them the text of --prompt.

        Raises UserError for metadata that are empty or that the run was not trained with.
        """
        known = self.options.metadata
        given = {"genres": flags["genre"], "title": flags["title"], "author": flags["author"]}
        given = {name: value for name, value in given.items() if value is not None}
        for name in given:
            if name not in known:
                has = f"it knows {', '.join(known)}" if known else "it was trained on texts alone"
                raise UserError(f"{_flag(name)}: {has}. Train with task.metadata='[genres, title]'.")
            if not given[name].strip():
                raise UserError(f"{_flag(name)} is empty: leave it out, or give one.")
        if not given:
            return BOS if flags["prompt"] is None else flags["prompt"]
        if text := (flags["prompt"] or "").removeprefix(BOS).strip():
            return self.example({"text": text, **given}).removesuffix(EOS)
        headings = "".join(f"{HEADINGS[name]}: {given[name]}. " for name in known if name in given)
        rest = known[known.index([name for name in known if name in given][-1]) + 1 :]  # what the model may add itself
        return BOS + (headings.rstrip() if rest else f"{headings}Summary:")

    def generate_texts(
        self, flags: dict[str, Any], search: dict[str, Any], show: Callable[[str], None] | None
    ) -> Iterator[dict[str, Any]]:
        from paddle_ft.generation import GenerationOptions, generate_all, stream

        if show and max(search["num_return_sequences"], search.get("num_beams", 1)) > 1:
            raise UserError(
                "--stream shows one text as it is written, token by token: leave out --num-return and --beams (--top-k, --top-p and"
                " --temperature go with it), or leave out --stream."
            )
        prompt, stop_token = self.prompt(flags), EOS if flags["stop_token"] is None else flags["stop_token"]
        stop = self.fast_tokenizer.encode(stop_token).ids
        if len(stop) != 1:
            raise UserError(f"--stop-token {stop_token!r}: this is {len(stop)} tokens for the model; name one, such as {EOS}.")
        ids = self.fast_tokenizer.encode(prompt).ids
        room = self.model.config.max_position_embeddings - len(ids)
        length = max(1, min(LENGTH, room)) if flags["length"] is None else flags["length"]
        settings = GenerationOptions(max_new_tokens=length, eos_token_id=stop[0], **search)
        if show:
            outputs = [[*ids, *self._show(ids, stream(self.model, ids, settings), show)]]
        else:
            outputs = generate_all(self.model, [ids], settings, 1, "generate")[0]
        for output in outputs:
            stopped = output[-1] == stop[0]
            yield {"prompt": prompt, "text": self._text(output), "tokens": len(output) - len(ids), "stopped": stopped}

    def _show(self, prompt: list[int], tokens: Iterator[int], show: Callable[[str], None]) -> list[int]:
        """Shows text as its tokens come; a character of several tokens waits for its last. Returns the tokens."""
        ids, shown = [], ""
        for token in tokens:
            ids.append(token)
            text = self._text([*prompt, *ids])
            if not text.endswith("\ufffd"):
                show(text[len(shown) :])
                shown = text
        return ids


def _flag(name: str) -> str:
    return f"--{'genre' if name == 'genres' else name}"


TASK = CausalLM
