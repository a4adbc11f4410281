"""Test that the sample of news briefs is a fair summarization task that can be learned."""

from statistics import mean

import pytest

from paddle_ft.data.load import load_split
from paddle_ft.data.samples import briefs, find_sample
from paddle_ft.metrics.rouge import rouge
from paddle_ft.system.errors import UserError
from paddle_ft.tokenization.build import SPECIAL_TOKENS, character_vocab
from tests.support.data_sections import section

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def generated():
    return {split: briefs.generate(split) for split in SPLITS}


def test_sizes_and_lengths(generated):
    assert {split: len(rows) for split, rows in generated.items()} == briefs.SIZES
    for rows in generated.values():
        assert len({source for source, _, _ in rows}) == len(rows)
        assert all(40 <= len(source) <= 90 for source, _, _ in rows)
        assert all(10 <= len(target) <= 20 for _, target, _ in rows)
        assert "{" not in "".join(source + target for source, target, _ in rows)


def test_no_pair_of_leading_slots_is_in_two_splits(generated):
    keys = {split: {key for _, _, key in rows} for split, rows in generated.items()}
    assert not keys["train"] & keys["validation"]
    assert not keys["train"] & keys["test"]
    assert not keys["validation"] & keys["test"]
    other_seed = {key for _, _, key in briefs.generate("train", seed=7)}
    assert not other_seed & keys["test"]


def test_the_key_is_what_the_headline_reports(generated):
    for _, target, (topic, first, second) in generated["test"]:
        slots = briefs.TOPICS[topic].slots
        first_slot, second_slot = briefs.TOPICS[topic].leading
        assert first in slots[first_slot] and second in slots[second_slot]
        assert first in target or second in target


def test_every_single_value_of_the_test_split_was_seen_in_training(generated):
    characters = {split: set("".join(source + target for source, target, _ in rows)) for split, rows in generated.items()}
    assert characters["test"] <= characters["train"] and characters["validation"] <= characters["train"]
    headlines = "".join(target for _, target, _ in generated["train"])
    for _, _, (_, first, second) in generated["test"]:
        assert first in headlines or second in headlines


def test_the_headline_follows_from_the_brief(generated):
    seen = {}
    for split in SPLITS:
        for source, target, _ in generated[split]:
            assert seen.setdefault(source, target) == target


def test_the_lead_is_a_poor_headline(generated):
    sources = [source for source, _, _ in generated["test"]]
    targets = [target for _, target, _ in generated["test"]]
    length = round(mean(map(len, targets)))
    assert rouge([source[:length] for source in sources], targets, language="zh", bootstrap=100)[0]["rougeL"] < 25


def test_the_seed_fixes_the_rows(generated):
    assert briefs.rows("test") == [{"source": source, "target": target} for source, target, _ in generated["test"]]
    assert briefs.rows("test", seed=1) != briefs.rows("test")


def test_a_sample_is_read_through_data_source():
    data = section(source="sample:briefs", limit_train=10)
    assert load_split(data, "train").rows == briefs.rows("train")[:10]
    assert load_split(data, "test").files == ["sample:briefs (test)"]
    with pytest.raises(UserError, match=r"^data\.source: there is no sample 'brief'; the samples are briefs"):
        find_sample("sample:brief")


def test_character_vocab_holds_every_character_and_its_continuation():
    assert character_vocab(["增长12%", "Ab"]) == [
        *SPECIAL_TOKENS,
        *["%", "1", "2", "A", "a", "b", "增", "长"],
        *["##%", "##1", "##2", "##A", "##a", "##b"],
    ]


def test_the_vocabulary_of_the_sample_knows_all_of_it(generated, tmp_path):
    from tokenizers import BertWordPieceTokenizer

    texts = [text for rows in generated.values() for source, target, _ in rows for text in (source, target)]
    (tmp_path / "vocab.txt").write_text("\n".join(character_vocab(texts)) + "\n", encoding="utf-8")
    tokenizer = BertWordPieceTokenizer(str(tmp_path / "vocab.txt"), lowercase=True)
    assert not any(1 in encoding.ids for encoding in tokenizer.encode_batch(texts))
