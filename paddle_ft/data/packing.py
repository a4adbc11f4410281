"""Pack several rows of a batch into one sequence, so that little padding is left. No row sees another.

A packed batch has the tokens of the same rows as a padded one. `segment_ids` say which tokens belong together: attention stays
within a segment, and every row's positions begin anew, so the model computes for each row what it computes for the row alone.
Source: Krell et al. (2021), Efficient Sequence Packing without Cross-contamination.

Shapes: n rows of the batch, p packed sequences, s tokens in each.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paddle_ft.data.batches import padded_length


class Packing:
    """The places of n rows in p sequences, each of which is as long as the longest row.

    Rows go from long to short into the fullest sequence that has room (best fit decreasing), so the batch is never larger than the
    padded one, and the places depend on the lengths alone.

    Attributes:
        lengths: [n], tokens of each row.
        sequence: [n], the sequence that each row is in.
        start: [n], where it begins there.
        shape: (p, s).
    """

    def __init__(self, lengths: Sequence[int] | np.ndarray, multiple: int | None = 1, max_length: int | None = None):
        """Place rows.

        Args:
            lengths: [n], tokens of each row.
            multiple, max_length: as in batches.pad: s is rounded up to a multiple, but not beyond max_length.
        """
        self.lengths = np.asarray(lengths)
        width = padded_length(int(self.lengths.max()), multiple, max_length)
        self.sequence, self.start = np.zeros_like(self.lengths), np.zeros_like(self.lengths)
        filled: list[int] = []
        for row in np.argsort(-self.lengths, kind="stable"):
            length = int(self.lengths[row])
            room = [number for number, used in enumerate(filled) if used + length <= width]
            if room:
                number = max(room, key=lambda n: filled[n])
            else:
                number = len(filled)
                filled.append(0)
            self.sequence[row], self.start[row] = number, filled[number]
            filled[number] += length
        self.shape = (len(filled), width)

    def place(self, rows: Sequence[np.ndarray], padding: int) -> np.ndarray:
        """Return values of the rows at their places, [p, s] int64. A row may have more values than tokens: the rest is left out."""
        packed = np.full(self.shape, padding, dtype=np.int64)
        for row, number, start, length in zip(rows, self.sequence, self.start, self.lengths, strict=True):
            packed[number, start : start + length] = row[:length]
        return packed

    def inputs(self) -> dict[str, np.ndarray]:
        """Return what the model needs to keep the rows apart.

        Returns:
            segment_ids: [p, s], the number of the row from 1, and 0 for padding.
            position_ids: [p, s], the position of each token in its row, from 0.
        """
        return {
            "segment_ids": self.place([np.full(length, n) for n, length in enumerate(self.lengths, start=1)], 0),
            "position_ids": self.place([np.arange(length) for length in self.lengths], 0),
        }
