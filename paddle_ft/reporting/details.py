"""Tables of a run that go beyond its scores: the most confident mistakes, and rare words."""

from __future__ import annotations

from paddle_ft.reporting.formats import format_number, of_rows
from paddle_ft.reporting.layout import Table
from paddle_ft.reporting.records import Run
from paddle_ft.system.formatting import is_number

NUM_MISTAKES = 20
MAX_TEXT = 300  # characters of a text in the table of mistakes
CONFIDENCE = "confidence"  # field of a classifier's prediction: the probability of the class that it predicted, in percent


def mistake_table(split: str, rows: list[dict]) -> Table | None:
    """Return the wrong predictions of a classifier, the most confident first, or None if there are none or no confidences.

    Args:
        split: its name.
        rows: its predictions.
    """
    wrong = [row for row in rows if "label" in row and "prediction" in row and row["label"] != row["prediction"]]
    wrong = [row for row in wrong if is_number(row.get(CONFIDENCE))]
    if not wrong:
        return None
    wrong.sort(key=lambda row: -row[CONFIDENCE])
    share = f"{len(wrong):,} of {len(rows):,} are wrong"
    cells = [[_text(row), str(row["label"]), str(row["prediction"]), f"{row[CONFIDENCE]:.2f} %"] for row in wrong[:NUM_MISTAKES]]
    return Table(["text", "label", "prediction", "confidence"], cells, numbers=False, title=f"{split}: {share}")


def _text(row: dict) -> str:
    text = " / ".join(str(row[name]) for name in ("text", "text_pair") if name in row)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


def frequency_tables(run: Run) -> list[Table]:
    """Return for each split how well hidden words are predicted, by how often the training text has them.

    Beside the accuracy and the loss of the model are those before the training.
    """
    tables = []
    before = run.results.get("before_training") or {}
    for split, metrics in (run.results.get("metrics") or {}).items():
        bands = _bands(metrics)
        earlier = {band.get("times_in_training"): band for band in _bands(before.get(split) or {})}
        rows = []
        for band in bands:
            name = band.get("times_in_training")
            cells = [
                format_number(one.get(key), 3 if key == "loss" else 2)
                for key in ("accuracy", "loss")
                for one in (band, earlier.get(name, {}))
            ]
            rows.append([str(name), format_number(band.get("targets")), *cells])
        if rows:
            earlier_title = f"before{of_rows(before.get(split) or {})}"
            columns = ["times in the training text", "hidden tokens", "accuracy (%)", earlier_title, "loss (nats)", earlier_title]
            tables.append(Table(columns, rows, title=split))
    return tables


def _bands(metrics: dict) -> list[dict]:
    bands = metrics.get("by_frequency")
    return [band for band in bands if isinstance(band, dict)] if isinstance(bands, list) else []
