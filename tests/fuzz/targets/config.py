"""Fuzz the recipes: YAML files, what they extend, sample blocks, and the overrides of the command line."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

from paddle_ft.config.describe import to_yaml
from paddle_ft.config.load import load_config
from paddle_ft.config.recipes import CONFIG_FOLDER, recipe_names
from tests.fuzz.mutation import mutated
from tests.fuzz.target import Target

RECIPES = {name: (CONFIG_FOLDER / f"{name}.yaml").read_bytes() for name in recipe_names()}
WORDS = (
    b"extends: base.yaml\n", b"extends: mine.yaml\n", b"extends: bert_sst2\n", b"extends: ..\n", b"sample: {seed: 5}\n", b"- ",
    b"? ", b"!!python/object/apply:os.system [FUZZ_CODE]", b"&a [*a]", b"*a", b"&a ", b"<<: *a", b": ", b"|\n", b"%YAML 1.1\n",
    b"---\n", b"!!binary ", b"!!set {a}", b"2001-01-01", b"0x_", b"1:30:30", b".inf", b"0o7", b"task.name",
)  # fmt: skip
KEYS = [
    "task.name", "train.learning_rate", "data.columns", "data.train", "model.config", "model.pretrained", "output_dir", "seed",
    "extends", "sample", "eval.eval_steps", "tracking", "task", "data.columns.text", "model.lora", "model.lora.rank", "train",
]  # fmt: skip


def load(folder: Path) -> None:
    """Load mine.yaml with the overrides, one a line. What is loaded must be the same after it was saved, as each run saves it."""
    overrides = (folder / "overrides").read_bytes().decode("utf-8", "surrogateescape").split("\n")
    config = load_config("mine.yaml", [line for line in overrides if line], sample=(folder / "sample").exists())
    Path("saved.yaml").write_text(to_yaml(config), encoding="utf-8")
    assert load_config("saved.yaml").model_dump() == config.model_dump()


_TEXTS = mutated(list(RECIPES.values()), WORDS)
_VALUES = st.one_of(
    st.text(max_size=30).map(lambda text: text.encode("utf-8", "replace")),
    mutated([b"{a: 1, b: [x, 2]}", b"3e-5", b"null", b"'x'"], WORDS, most=2),
)
_KEYS = st.one_of(st.sampled_from(KEYS), st.text(max_size=12))
_LINES = st.builds(lambda key, value: key.encode("utf-8", "replace") + b"=" + value, _KEYS, _VALUES)
_OVERRIDES = st.lists(_LINES, max_size=3).map(b"\n".join)
_SAMPLE = {"sample": st.just(b"")}

TARGETS = (
    Target(
        "config_file",
        load,
        st.one_of(
            st.fixed_dictionaries({"mine.yaml": _TEXTS, "overrides": st.just(b"")}, optional=_SAMPLE),
            st.fixed_dictionaries(
                {"mine.yaml": st.just(b"extends: base.yaml\n"), "base.yaml": _TEXTS, "overrides": st.just(b"")}, optional=_SAMPLE
            ),
        ),
    ),
    Target(
        "config_overrides",
        load,
        st.fixed_dictionaries({"mine.yaml": st.sampled_from(sorted(RECIPES.values())), "overrides": _OVERRIDES}, optional=_SAMPLE),
    ),
)
