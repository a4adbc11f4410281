"""Decisions: choices that the program makes for the user and that change the result, such as weights that start anew.

A decision is one sentence. Whoever makes it notes it: readers and sources with Fields.decide, tasks with Rows.decide or
Dataset.decide, the loading of a model in ModelBundle.decisions. Each is said once in the header of a training and of --check, and
stands in results.json under "decisions", in the report and in the model card.
"""

from __future__ import annotations

from collections.abc import Iterable

from paddle_ft.system.progress import print_info

DECISIONS = "decisions"  # key of results.json, and of the info of Rows and Dataset


def unique(*groups: Iterable[str]) -> list[str]:
    """Return the decisions of all groups, each once, in order."""
    return list(dict.fromkeys(decision for group in groups for decision in group))


def print_decisions(decisions: Iterable[str]) -> list[str]:
    """Print each decision on a line of its own, and return them."""
    printed = unique(decisions)
    for decision in printed:
        print_info(f"decision: {decision}")
    return printed
