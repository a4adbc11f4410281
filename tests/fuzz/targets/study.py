"""Fuzz the studies: YAML files, their sample blocks, and the overrides of the command line."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

from paddle_ft.config.recipes import STUDY_FOLDER, study_names
from paddle_ft.experiments.study_file import read_study
from paddle_ft.experiments.study_plan import make_plan
from tests.fuzz.mutation import mutated
from tests.fuzz.target import Target
from tests.fuzz.targets.config import KEYS, SCALARS, WORDS
from tests.support.studies import STUDY

STUDIES = [STUDY.encode(), *((STUDY_FOLDER / f"{name}.yaml").read_bytes() for name in study_names())]
STUDY_WORDS = (
    *WORDS, b"${adapted.best}", b"${", b"}", b"null", b"{}", b"[]", b"series: ", b"together: ", b"values: ", b"every_seed: true",
    b"stages: ", b"data.limit_train", b"0", b"-1", b"? [a]: b", b"1: {}", b"..: {}", b"a/b: {}",
)  # fmt: skip


def plan(folder: Path) -> None:
    """Plan mine.yaml with the overrides, one a line. No run may be outside the folder of the study, and no two in the same one."""
    overrides = (folder / "overrides").read_bytes().decode("utf-8", "surrogateescape").split("\n")
    made = make_plan(read_study("mine.yaml", (folder / "sample").exists()), [line for line in overrides if line], 2)
    paths = [run.path for run in made.runs]
    assert len(set(paths)) == len(paths) > 0
    assert all(made.folder in path.parents and ".." not in path.relative_to(made.folder).parts for path in paths)


_KEYS = st.sampled_from([*KEYS, "adapted.seed", "classifier.train.learning_rate", "seed", "data.limit_train"])
_LINES = st.builds(lambda key, value: key.encode() + b"=" + value, _KEYS, st.sampled_from(SCALARS))

TARGETS = (
    Target(
        "study_file",
        plan,
        st.fixed_dictionaries(
            {"mine.yaml": mutated(STUDIES, STUDY_WORDS), "overrides": st.lists(_LINES, max_size=2).map(b"\n".join)},
            optional={"sample": st.just(b"")},
        ),
        share=0.5,
    ),
)
