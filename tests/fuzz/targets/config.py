"""Fuzz the recipes: YAML files, what they extend, sample blocks, and the overrides of the command line."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

from paddle_ft.config.describe import to_yaml
from paddle_ft.config.load import load_config
from paddle_ft.config.recipes import CONFIG_FOLDER, recipe_names
from tests.fuzz.mutation import mutated
from tests.fuzz.target import Target


def _without_comments(text: str) -> bytes:
    return "\n".join(line for line in text.split("\n") if line.strip() and not line.startswith("#")).encode()


RECIPES = {name: _without_comments((CONFIG_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")) for name in recipe_names()}
WORDS = (
    b"extends: base.yaml\n", b"extends: mine.yaml\n", b"extends: bert_sst2\n", b"extends: ..\n", b"sample: {seed: 5}\n", b"- ",
    b"? ", b"!!python/object/apply:os.system [FUZZ_CODE]", b"&a [*a]", b"*a", b"&a ", b"<<: *a", b": ", b"|\n", b"%YAML 1.1\n",
    b"---\n", b"!!binary ", b"!!set {a}", b"2001-01-01", b"0x_", b"1:30:30", b".inf", b"0o7", b"task.name",
)  # fmt: skip
# values that YAML reads in a way of its own, two spaces apart
SCALARS = (
    rb"""
0x_  0b_  0o_  0x1F  2001-01-01  2001-99-99  2001-01-01 99:00:00  !!int x  !!float x  !!int ''  !!float ''  !!bool x  !!timestamp x
!!binary YQ==  !!null x  !!set {a}  !!omap [a: 1]  !!pairs [a: 1]  !!str 1  1:30  1:30.5  _  +.inf  .nan  -0  1_000  1e999  ~  yes
&a [*a]  &a {b: *a}  {? [a]: b}  {<<: {a: 1}}  {<<: 3}  {1: 2}  {true: 2}  {null: 2}  [[1]]  '\0'  "\0"  "\ud800"  "\U0001F600"
'{a}'  ''  -1  1.5  99999999999999999999  0777  [a, b]  {a: b}  |  >  @a  `a`  %a  !a b  &a b  - a  ? a  : a  a: b  a #b  'a  "a  [a
""".strip()
    .replace(b"\n", b"  ")
    .split(b"  ")
)
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


@st.composite
def _with_odd_values(draw) -> bytes:
    """Return a recipe with other values behind up to three of its keys."""
    lines = draw(st.sampled_from(sorted(RECIPES.values()))).split(b"\n")
    numbers = [number for number, line in enumerate(lines) if b": " in line]
    for number in draw(st.lists(st.sampled_from(numbers), min_size=1, max_size=3)):
        lines[number] = lines[number].partition(b": ")[0] + b": " + draw(_VALUES)
    return b"\n".join(lines)


_VALUES = st.one_of(
    st.sampled_from(SCALARS),
    mutated(SCALARS, most=2),
    st.text(max_size=30).map(lambda text: text.encode("utf-8", "replace")),
    mutated([b"{a: 1, b: [x, 2]}", b"3e-5", b"null", b"'x'"], WORDS, most=2),
)
_TEXTS = st.one_of(mutated(sorted(RECIPES.values()), WORDS), _with_odd_values())
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
