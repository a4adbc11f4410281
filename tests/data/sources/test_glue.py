"""Test reading GLUE from PaddleNLP's files and from Hugging Face columns, up to the classes. The test writes the files."""

import hashlib
from types import SimpleNamespace

import pytest

from paddle_ft.config.load import load_config
from paddle_ft.config.schema import DataSection
from paddle_ft.data.load import load_split
from paddle_ft.data.readers.glue import read_glue
from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import Fields
from paddle_ft.system.errors import UserError
from paddle_ft.tasks.classification.labels import class_names, to_classes

PAIR = ("text", "label"), ("text_pair",)
FILES = {
    "SST-2/train.tsv": "sentence\tlabel\na fine film \t1\na dull film \t0\n",
    "SST-2/dev.tsv": "sentence\tlabel\nit is fine \t1\n",
    "SST-2/test.tsv": "index\tsentence\n0\tunlabelled .\n",
    "QQP/train.tsv": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n7\t1\t2\twho?\twho is it?\t1\n",
    "QQP/dev.tsv": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n8\t3\t4\twhen?\twhere?\t0\n",
    "QQP/test.tsv": "id\tquestion1\tquestion2\n0\ta?\tb?\n",
}


@pytest.fixture
def glue(tmp_path, monkeypatch):
    """Write small files where PaddleNLP's glue unpacks its own, and register their checksums."""
    import paddlenlp.datasets.dataset as base
    import paddlenlp.datasets.glue as module

    monkeypatch.setattr(module, "DATA_HOME", str(tmp_path))
    monkeypatch.setattr(base, "DATA_HOME", str(tmp_path))
    configs = {}
    for name in ("sst-2", "qqp"):
        config = module.Glue.BUILDER_CONFIGS[name]
        splits = {}
        for split, (path, _, places, skipped) in config["splits"].items():
            (tmp_path / "Glue" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "Glue" / path).write_text(FILES[path])
            splits[split] = [path, hashlib.md5(FILES[path].encode()).hexdigest(), places, skipped]
        configs[name] = {**config, "splits": splits}
    monkeypatch.setattr(module.Glue, "BUILDER_CONFIGS", configs)


def put(folder, monkeypatch, path, text):
    """Replace one of the small files and register its checksum."""
    import paddlenlp.datasets.glue as module

    (folder / "Glue" / path).write_text(text)
    for config in module.Glue.BUILDER_CONFIGS.values():
        for layout in config["splits"].values():
            if layout[0] == path:
                layout[1] = hashlib.md5(text.encode()).hexdigest()


def recipe(name, *overrides):
    return load_config(name, list(overrides)).data


def test_qqp_as_the_recipe_has_it(glue):
    data = recipe("distilbert_qqp")
    assert load_split(data, "train", *PAIR).rows == [{"text": "who?", "text_pair": "who is it?", "label": "1"}]
    assert load_split(data, "validation", *PAIR).rows == [{"text": "when?", "text_pair": "where?", "label": "0"}]
    assert load_split(data, "test", *PAIR) is None


BROKEN = (
    "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n7\t1\t2\twho?\twho is it?\t1\n"
    "8\t3\t4\twhat is\nthis?\twhat is that?\t0\n9\t5\t6\twhy?\twhy\tnot?\t0\n10\t7\t8\thow?\thow so?\t1\n"
)
GOOD_ROWS = [{"text": "who?", "text_pair": "who is it?", "label": "1"}, {"text": "how?", "text_pair": "how so?", "label": "1"}]


def test_a_broken_record_is_named_or_skipped(glue, tmp_path, monkeypatch):
    """Older files have questions that span two lines. Another question here contains a tab."""
    put(tmp_path, monkeypatch, "QQP/train.tsv", BROKEN)
    path = tmp_path / "Glue" / "QQP" / "train.tsv"
    with pytest.raises(UserError) as caught:
        load_split(recipe("distilbert_qqp"), "train", *PAIR)
    assert str(caught.value) == (
        f"{path}:3: 4 fields where at least 6 are needed\n3 of 5 rows are bad. Correct the file, or leave such rows out with"
        " data.on_bad_row=skip"
    )
    loaded = load_split(recipe("distilbert_qqp", "data.on_bad_row=skip"), "train", *PAIR)
    assert loaded.rows == GOOD_ROWS
    assert [(bad.line, bad.reason) for bad in loaded.bad] == [
        (3, "4 fields where at least 6 are needed"),
        (4, "3 fields where at least 6 are needed"),
        (5, "the label 'not?' is not one of 0, 1"),
    ]


def test_the_same_as_a_local_file_and_as_data_files(glue, tmp_path):
    (tmp_path / "train.tsv").write_text(BROKEN)
    columns = "data.columns={text: question1, text_pair: question2, label: is_duplicate}"
    local = ["data.source=null", "data.name=null", f"data.train={tmp_path / 'train.tsv'}", columns]
    with pytest.raises(UserError, match=r"train.tsv:3: 4 fields where the header has 6\n3 of 5 rows are bad.*data.on_bad_row=skip"):
        load_split(recipe("distilbert_qqp", *local), "train", *PAIR)
    for settings in (local, [f"data.data_files={{train: {tmp_path / 'train.tsv'}}}"]):
        loaded = load_split(recipe("distilbert_qqp", *settings, "data.on_bad_row=skip"), "train", *PAIR)
        assert loaded.rows == GOOD_ROWS and [bad.line for bad in loaded.bad] == [3, 4, 5]


@pytest.mark.parametrize(("task", "split", "line", "expected"), [
    ("cola", "train", "gj04\t1\t\tIt was so.\n", {"sentence": "It was so.", "labels": 1}),
    ("sts-b", "dev", "0\t" * 7 + "a\tb\t2.500\n", {"sentence1": "a", "sentence2": "b", "labels": "2.500"}),
    ("qnli", "dev", "0\twho?\the\tnot_entailment\n", {"sentence1": "who?", "sentence2": "he", "labels": 1}),
    ("mnli", "test_matched", "0\t" * 8 + "a\tb\n", {"sentence1": "a", "sentence2": "b"}),
    ("sst-2", "test", "0\tso it is .\n", {"sentence": "so it is ."}),
])  # fmt: skip
def test_rows_equal_those_of_paddlenlps_reader(tmp_path, task, split, line, expected):
    from paddlenlp.datasets.glue import Glue

    config = Glue.BUILDER_CONFIGS[task]
    layout = config["splits"][split][2:]
    path = tmp_path / "file.tsv"
    path.write_text("header\n" * layout[1] + line)
    (theirs,) = Glue(lazy=True, name=task).read(str(path), split)
    assert theirs == expected
    fields = Fields({}, tuple(expected))
    ((number, ours),) = read_glue(DataFile(str(path)), split, layout, config["labels"], fields)
    assert number == layout[1] + 1
    assert ours == {name: str(value) for name, value in expected.items()}


def test_sst2_by_the_overrides_in_the_recipes_header(glue):
    data = recipe("distilbert_sst2", "data.source=glue", "data.name=sst-2", "data.columns={text: sentence, label: labels}",
                  "data.test=none")  # fmt: skip
    assert load_split(data, "train", *PAIR).rows == [{"text": "a fine film ", "label": "1"}, {"text": "a dull film ", "label": "0"}]
    assert len(load_split(data, "validation", *PAIR)) == 1
    with pytest.raises(UserError, match="no column 'labels'"):
        load_split(data.model_copy(update={"test": "test"}), "test", *PAIR)


def test_scores_of_hugging_faces_sst_are_rounded(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    scores = pa.array([0.69444, 0.5, 0.23611, 1.0], type=pa.float32())
    table = pa.table({"sentence": ["a", "b", "c", "d"], "label": scores, "tokens": ["a", "b", "c", "d"], "tree": ["1"] * 4})
    pq.write_table(table, tmp_path / "train-00000-of-00001.parquet")
    data = DataSection(source=str(tmp_path), columns={"text": "sentence"})
    labels = [row["label"] for row in load_split(data, "train", *PAIR).rows]
    options = SimpleNamespace(labels=["negative", "positive"], round_labels=True)
    assert to_classes(labels, options.labels, options, "train").tolist() == [1, 0, 0, 1]
    with pytest.raises(UserError, match="train row 1: the label 0.69.* regression"):
        class_names(labels, SimpleNamespace(labels=None, round_labels=False))
