"""How files are read: the settings of the data section for it, and what the readers found out or decided by themselves."""

from __future__ import annotations

import dataclasses
from collections import Counter

from paddle_ft.system.decisions import print_decisions
from paddle_ft.system.formatting import join_some, shorten

MAX_FILES = 3  # that are named in one decision
MAX_CLASSES_LISTED = 12  # likewise


@dataclasses.dataclass
class Reading:
    """Settings for reading files, and notes of the readers. One object goes along with all files of a split.

    Attributes:
        separator, encoding, field: data.separator, data.encoding and data.field.
        notes: a decision -> the files that it was made for, if it is about files.
        null_words: (field, word) -> how many texts are this word, such as "nan", that elsewhere stands for a missing value.
        classes: field -> the names of its classes by number, where the files have them. [] if files differ in them.
    """

    separator: str = "auto"
    encoding: str = "auto"
    field: str | None = None
    notes: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    null_words: Counter[tuple[str, str]] = dataclasses.field(default_factory=Counter)
    classes: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    _num_printed: int = 0

    @classmethod
    def from_data(cls, data) -> Reading:
        """Return the settings of a data section."""
        return cls(data.separator, data.encoding, data.field)

    def decide(self, decision: str, file: str | None = None) -> None:
        """Note a choice that the user did not make (see system.decisions). With a file, it is said once for all such files."""
        files = self.notes.setdefault(decision, [])
        if file is not None and file not in files:
            files.append(file)

    def use_classes(self, field: str, column: str, names: list[str], file: str) -> None:
        """Note that the numbers in a column of a file are read as the names of classes, and decide so."""
        listed = join_some([repr(shorten(name)) for name in names], MAX_CLASSES_LISTED)
        self.decide(f"the numbers of the classes in {column!r} are read as their names ({listed})", file)
        self.classes[field] = names if self.classes.get(field, names) == names else []

    @property
    def decisions(self) -> list[str]:
        """All decisions so far, one sentence each."""
        return [*map(self._sentence, self.notes), *map(self._describe_null_word, self.null_words)]

    def print_new(self, at_end: bool = False) -> None:
        """Print the decisions about files that were not printed yet. At the end, print the counts of words too."""
        if len(self.notes) > self._num_printed or at_end:
            print_decisions(self.decisions[self._num_printed : None if at_end else len(self.notes)])
            self._num_printed = len(self.notes)

    def _sentence(self, decision: str) -> str:
        files = self.notes[decision]
        more = f" and {len(files) - MAX_FILES:,} more" if len(files) > MAX_FILES else ""
        return f"{', '.join(files[:MAX_FILES])}{more}: {decision}" if files else decision

    def _describe_null_word(self, key: tuple[str, str]) -> str:
        (name, word), count = key, self.null_words[key]
        subject, verb = ("1 value", "is") if count == 1 else (f"{count:,} values", "are")
        return f"{subject} of {name} {verb} the word {word!r} and {verb} kept as text; a cell without a value must be empty"
