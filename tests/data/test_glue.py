"""GLUE through PaddleNLP's reader, and Hugging Face columns, up to the classes: with stand-ins written by us."""

import hashlib
from types import SimpleNamespace

import pytest

from paddle_ft.config import load_config
from paddle_ft.data.labels import class_names, to_classes
from paddle_ft.data.source import load_split
from paddle_ft.errors import UserError
from paddle_ft.schema import DataSection

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
    """PaddleNLP's glue with small files in the place where it unpacks them."""
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


def recipe(name, *more):
    return load_config(name, list(more)).data


def test_qqp_as_the_recipe_has_it(glue):
    data = recipe("distilbert_qqp")
    assert load_split(data, "train", *PAIR).rows == [{"text": "who?", "text_pair": "who is it?", "label": "1"}]
    assert load_split(data, "validation", *PAIR).rows == [{"text": "when?", "text_pair": "where?", "label": "0"}]
    assert load_split(data, "test", *PAIR) is None


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
    found = [row["label"] for row in load_split(data, "train", *PAIR).rows]
    options = SimpleNamespace(labels=["negative", "positive"], round_labels=True)
    assert to_classes(found, options.labels, options, "train").tolist() == [1, 0, 0, 1]
    with pytest.raises(UserError, match="train row 1: the label 0.69.* regression"):
        class_names(found, SimpleNamespace(labels=None, round_labels=False))
