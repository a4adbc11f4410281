"""Choose the tokens that a masked language model must predict, and what replaces them in its input.

Source: Devlin et al. (2019), BERT, section 3.1: 15 % of the tokens, of which 80 % become [MASK], 10 % a random token, and
10 % stay as they are. Whole words: https://github.com/google-research/bert (2019). Chinese words: Cui et al. (2021),
Pre-Training with Whole Word Masking for Chinese BERT, who segment the text into words as jieba does here.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from paddle_ft.data.arrays import ArrayFile
from paddle_ft.data.batches import IGNORE_INDEX
from paddle_ft.data.text import HAN_BASIC, regex_class
from paddle_ft.system.errors import UserError

PART = 2**16  # tokens that are segmented at once
_HAN = re.compile(f"[{regex_class(HAN_BASIC)}]")


class Vocabulary:
    """What masking needs to know about a tokenizer's tokens, in tables indexed by token id.

    Attributes:
        tokens: [v], the tokens as text.
        mask_id: id of the mask token.
        special: [v] bool, whether the token is special: never masked and never drawn as a replacement.
        ordinary: ids of all other tokens.
        wordpiece: whether the tokenizer marks pieces that continue a word (##ing).
        continues_word: [v] bool, whether the token continues a word.
        han: [v] bool, whether the token is a single Chinese character.
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
        self.continues_word = np.array([self.wordpiece and token.startswith("##") for token in self.tokens])
        self.han = np.array([len(token) == 1 and bool(_HAN.match(token)) for token in self.tokens])

    def check_words(self) -> None:
        """Raise UserError if the tokenizer does not mark the pieces that continue a word. Only WordPiece does."""
        if not self.wordpiece:
            raise UserError("task.masking: whole_word needs a WordPiece tokenizer, such as BERT's; use task.masking=token.")

    def word_starts(self, ids: np.ndarray) -> np.ndarray:
        """Return for token ids of any shape whether a word begins there. A Chinese character is a word."""
        return ~self.continues_word[ids]

    def chinese_word_starts(self, flat: np.ndarray | ArrayFile, first: int = 0) -> Iterator[np.ndarray]:
        """Yield where words begin, with the words that jieba finds in each run of Chinese characters.

        Args:
            flat: [tokens], token ids.
            first: token to begin with.

        Yields:
            For the next tokens, many at once: bool, True at the first token of a word.
        """
        import jieba

        jieba.setLogLevel(logging.WARNING)
        size = PART
        while first < len(flat):
            ids = flat[first : first + size]
            others = np.flatnonzero(~self.han[ids])
            if first + size < len(flat):  # end after a token that is not Chinese, so that no word is divided
                if not len(others):
                    size *= 2
                    continue
                ids = ids[: others[-1] + 1]
            starts = self.word_starts(ids)
            for begin, end in np.flatnonzero(np.diff(self.han[ids], prepend=False, append=False)).reshape(-1, 2):
                position = begin
                for word in jieba.cut("".join(self.tokens[i] for i in ids[begin:end])):
                    starts[position + 1 : position + len(word)] = False
                    position += len(word)
            yield starts
            first, size = first + len(ids), PART


@dataclass(frozen=True)
class Masking:
    """Draw masks for batches.

    Attributes:
        vocabulary: tables of the model's tokenizer.
        rate: share of the tokens, or of the words, to predict.
        mask_share: share of the chosen tokens that become the mask token.
        random_share: share of the chosen tokens that become a random token. The others do not change.
    """

    vocabulary: Vocabulary
    rate: float
    mask_share: float = 0.8
    random_share: float = 0.1

    def __call__(self, ids: np.ndarray, starts: np.ndarray | None, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Mask a batch. If it has any ordinary token, at least one token is chosen.

        Args:
            ids: [b, s], token ids, padded with a special token.
            starts: [b, s] bool, True where a word begins, for choosing whole words. None chooses tokens independently.
            rng: the random generator.

        Returns:
            The model's input ids [b, s], and the labels [b, s], -100 where nothing is predicted.
        """
        allowed = ~self.vocabulary.special[ids]
        draws = rng.random(ids.shape)
        if starts is not None:
            draws = np.take_along_axis(draws, np.cumsum(starts, axis=1) - starts[:, :1], axis=1)  # one draw for each word
        selected = (draws < self.rate) & allowed
        if not selected.any() and allowed.any():
            selected = (draws == draws[allowed].min()) & allowed
        labels = np.where(selected, ids, IGNORE_INDEX)
        replacement_draws = rng.random(ids.shape)
        random_ids = rng.choice(self.vocabulary.ordinary, ids.shape)
        unmasked = np.where(replacement_draws < self.mask_share + self.random_share, random_ids, ids)
        replaced = np.where(replacement_draws < self.mask_share, self.vocabulary.mask_id, unmasked)
        return np.where(selected, replaced, ids), labels
