"""Which tokens a masked language model must predict, and what it sees in their place.

Source: Devlin et al. (2019), BERT, section 3.1 (15 %, of which 80 % [MASK], 10 % a random token, 10 % left as they are);
whole words: https://github.com/google-research/bert (2019), for Chinese Cui et al. (2021), Pre-Training with Whole Word
Masking for Chinese BERT, who segment the text into words as is done here with jieba.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

import numpy as np

from paddle_ft.data.batches import IGNORE_INDEX
from paddle_ft.data.text import HAN_BASIC, regex_class
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress

_HAN = re.compile(f"[{regex_class(HAN_BASIC)}]")


class Vocabulary:
    """What masking must know of a tokenizer's tokens, as tables by id.

    special: [v] bool, never masked and never drawn as replacement. ordinary: ids of all others. continues: [v] bool, the
    token goes on with a word (##ing). han: [v] bool, one Chinese character.
    """

    def __init__(self, fast_tokenizer, special_ids: list[int], mask_id: int):
        ids = fast_tokenizer.get_vocab(with_added_tokens=True)
        self.tokens = [""] * (max(ids.values()) + 1)
        for token, number in ids.items():
            self.tokens[number] = token
        self.mask_id = mask_id
        self.special = np.zeros(len(self.tokens), dtype=bool)
        self.special[special_ids] = True
        self.ordinary = np.array([i for i, token in enumerate(self.tokens) if token and not self.special[i]])
        self.wordpiece = type(fast_tokenizer.model).__name__ == "WordPiece"
        self.continues = np.array([self.wordpiece and token.startswith("##") for token in self.tokens])
        self.han = np.array([len(token) == 1 and bool(_HAN.match(token)) for token in self.tokens])

    def word_starts(self, flat: np.ndarray, chinese: bool, label: str) -> np.ndarray:
        """[tokens] bool: True where a word begins. With `chinese`, words of Chinese characters are found by jieba.

        Raises UserError for a tokenizer that does not mark what goes on with a word (only WordPiece does).
        """
        if not self.wordpiece:
            raise UserError("task.masking: whole_word needs a tokenizer of word pieces, such as BERT's; use token here.")
        starts = ~self.continues[flat]
        if chinese:
            self._join_chinese(flat, starts, label)
        return starts

    def _join_chinese(self, flat: np.ndarray, starts: np.ndarray, label: str) -> None:
        import jieba

        jieba.setLogLevel(logging.WARNING)
        edges = np.flatnonzero(np.diff(self.han[flat], prepend=False, append=False))
        with Progress(len(edges) // 2, label, unit="runs") as bar:
            for begin, end in edges.reshape(-1, 2):
                place = begin
                for word in jieba.cut("".join(self.tokens[i] for i in flat[begin:end])):
                    starts[place + 1 : place + len(word)] = False
                    place += len(word)
                bar.update()


@dataclass(frozen=True)
class Masking:
    """rate: share of tokens (or of words) to predict. to_mask, to_random: shares of those that become [MASK] or a random
    token; the rest stay as they are."""

    vocabulary: Vocabulary
    rate: float
    to_mask: float = 0.8
    to_random: float = 0.1

    def __call__(
        self, ids: np.ndarray, starts: np.ndarray | None, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws masks for a batch.

        Args:
            ids: [b, s], padded with a special token.
            starts: [b, s] bool, True where a word begins: words are chosen whole; None: each token by itself.

        Returns: what the model sees [b, s], labels [b, s] (-100 where nothing is to be predicted). At least one token of the
            batch is chosen, if there is one to choose.
        """
        allowed = ~self.vocabulary.special[ids]
        draw = rng.random(ids.shape)
        if starts is not None:
            draw = np.take_along_axis(draw, np.cumsum(starts, axis=1) - starts[:, :1], axis=1)  # one number a word
        chosen = (draw < self.rate) & allowed
        if not chosen.any() and allowed.any():
            chosen = (draw == draw[allowed].min()) & allowed
        labels = np.where(chosen, ids, IGNORE_INDEX)
        kind = rng.random(ids.shape)
        random = rng.choice(self.vocabulary.ordinary, ids.shape)
        seen = np.where(kind < self.to_mask, self.vocabulary.mask_id, np.where(kind < self.to_mask + self.to_random, random, ids))
        return np.where(chosen, seen, ids), labels
