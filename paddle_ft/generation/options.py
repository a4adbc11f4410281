"""Define and check the options of a generation. Paddle is not imported here."""

from __future__ import annotations

from dataclasses import dataclass, fields

from paddle_ft.system.errors import UserError


@dataclass(frozen=True, kw_only=True)
class GenerationOptions:
    """Settings of one generation, with the same meanings as in transformers 4.x.

    Lengths include the tokens that the decoder starts with: the start token of an encoder-decoder model, or the (padded) prompt of
    a decoder-only model. Set either `max_length` or `max_new_tokens`.

    Raises:
        UserError: a value is out of range, or two values contradict each other; the message names the field.
    """

    max_length: int | None = None  # tokens, with start token or prompt
    max_new_tokens: int | None = None  # tokens, without start token or prompt
    min_length: int = 0  # no end token before this many tokens (counted like max_length)
    num_beams: int = 1  # 1: greedy or sampling
    length_penalty: float = 1.0  # a beam's score is its log probability / length ** length_penalty
    # True: stop at num_beams finished beams; False: when a better one is unlikely; "never": when a better one is impossible
    early_stopping: bool | str = False
    no_repeat_ngram_size: int = 0  # 0: off
    repetition_penalty: float = 1.0  # 1: off; above 1: tokens that are already there become less likely
    forced_bos_token_id: int | None = None  # the first token after the start token
    forced_eos_token_id: int | None = None  # the last token if max_length is reached
    eos_token_id: int | None = None  # None: the model's own
    do_sample: bool = False
    top_k: int = 0  # sample among the k most likely tokens; 0: all
    top_p: float = 1.0  # sample among the most likely tokens that together reach this probability; 1: all
    temperature: float = 1.0
    num_return_sequences: int = 1
    seed: int | None = None  # for sampling; None: drawn from NumPy's global generator

    def __post_init__(self):
        if (self.max_length is None) == (self.max_new_tokens is None):
            raise UserError("generation: give exactly one of max_length and max_new_tokens")
        if self.early_stopping not in (True, False, "never"):
            raise UserError(f"generation: early_stopping is {self.early_stopping!r}, it must be true, false or 'never'")
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                bound = f"at least {low}" if high == float("inf") else f"between {low} and {high}"
                raise UserError(f"generation: {name} is {value}, it must be {bound}")
        self._check_combinations()

    def _check_combinations(self) -> None:
        if self.do_sample and self.num_beams > 1:
            raise UserError(f"generation: do_sample is set and num_beams is {self.num_beams}; choose sampling or beam search")
        if not self.do_sample:
            for field in fields(self):
                if field.name in ("top_k", "top_p", "temperature") and getattr(self, field.name) != field.default:
                    raise UserError(
                        f"generation: {field.name} is {getattr(self, field.name)} but only sampling uses it; "
                        "set do_sample to true or leave it out"
                    )
            if self.num_return_sequences > self.num_beams:
                raise UserError(
                    f"generation: num_return_sequences is {self.num_return_sequences}, without sampling it can be "
                    f"at most num_beams, which is {self.num_beams}"
                )
        if self.max_length is not None and self.min_length > self.max_length:
            raise UserError(f"generation: min_length {self.min_length} is above max_length {self.max_length}")


_ANY = float("inf")
_RANGES = [
    ("max_length", 1, _ANY),
    ("max_new_tokens", 1, _ANY),
    ("min_length", 0, _ANY),
    ("num_beams", 1, _ANY),
    ("no_repeat_ngram_size", 0, _ANY),
    ("repetition_penalty", 1e-6, _ANY),
    ("top_k", 0, _ANY),
    ("top_p", 1e-6, 1.0),
    ("temperature", 1e-6, _ANY),
    ("num_return_sequences", 1, _ANY),
    ("seed", 0, 2**63 - 1),
]
