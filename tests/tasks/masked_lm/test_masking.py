"""Test masking: the rates over many tokens, whole words, and tokens that are never masked."""

import numpy as np
import pytest

from paddle_ft.data.batches import IGNORE_INDEX
from paddle_ft.system.errors import UserError
from paddle_ft.tasks.masked_lm import masking
from paddle_ft.tasks.masked_lm.masking import Masking, Vocabulary
from paddle_ft.tokenization.fast import fast_tokenizer

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "play", "##ing", "##s", "the", "a", "film", "##maker", "good", "bad", "."]
SPECIAL = [0, 1, 2, 3, 4]


def build_vocabulary(folder, extra=""):
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in [*PIECES, *extra]), encoding="utf-8")
    return Vocabulary(fast_tokenizer(folder), SPECIAL, mask_id=4)


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return build_vocabulary(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module")
def many(words):
    """Return 400 rows of 128 ids: ordinary tokens mixed with [CLS], [SEP], [UNK] and padding."""
    rng = np.random.default_rng(0)
    return rng.choice([5, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0, 1, 2, 3], (400, 128))


def mask(words, ids, starts=None, seed=1, **settings):
    return Masking(words, **{"rate": 0.15, **settings})(ids, starts, np.random.default_rng(seed))


def is_near(share, expected, n):
    """Return whether a binomial share is within four standard deviations of what is expected."""
    return abs(share - expected) < 4 * (expected * (1 - expected) / n) ** 0.5


def test_the_rates(words, many):
    masked_ids, labels = mask(words, many)
    ordinary = ~np.isin(many, SPECIAL)
    selected = labels != IGNORE_INDEX
    assert is_near(selected.sum() / ordinary.sum(), 0.15, ordinary.sum())
    n = selected.sum()
    masked = masked_ids[selected] == 4
    assert is_near(masked.mean(), 0.8, n)
    changed = ~masked & (masked_ids[selected] != many[selected])
    unchanged = masked_ids[selected] == many[selected]
    same = 1 / 10  # the chance that a random one of ten ordinary tokens is the same token
    assert is_near(changed.mean(), 0.1 * (1 - same), n)
    assert is_near(unchanged.mean(), 0.1 + 0.1 * same, n)


def test_labels_are_the_original_tokens_and_nothing_else_changes(words, many):
    masked_ids, labels = mask(words, many)
    selected = labels != IGNORE_INDEX
    assert (labels[selected] == many[selected]).all()
    assert (masked_ids[~selected] == many[~selected]).all()


def test_special_tokens_are_never_chosen_and_never_inserted(words, many):
    masked_ids, labels = mask(words, many, rate=0.9, mask_share=0.0, random_share=1.0)
    assert (labels[np.isin(many, SPECIAL)] == IGNORE_INDEX).all()
    assert not np.isin(masked_ids[labels != IGNORE_INDEX], SPECIAL).any()
    assert set(np.unique(masked_ids[labels != IGNORE_INDEX])) == set(range(5, 15))  # and every ordinary one is


def test_masks_differ_between_seeds_and_repeat_with_the_same_seed(words, many):
    first, second, again = (mask(words, many, seed=seed)[1] for seed in (1, 2, 1))
    assert (first == again).all()
    both = ((first != IGNORE_INDEX) & (second != IGNORE_INDEX)).sum() / (first != IGNORE_INDEX).sum()
    assert is_near(both, 0.15, (first != IGNORE_INDEX).sum())


def word_numbers(starts):
    """Return for each token of a row the number of its word."""
    return np.cumsum(starts)


def test_words_are_chosen_whole_or_not_at_all(words, many):
    starts = words.word_starts(many)
    _, labels = mask(words, many, starts, rate=0.2)
    chosen_words = all_words = 0
    for ids, start, label in zip(many, starts, labels, strict=True):
        number = word_numbers(start)
        for word in np.unique(number):
            ordinary = ~np.isin(ids[number == word], SPECIAL)
            selected = (label[number == word] != IGNORE_INDEX)[ordinary]
            assert selected.all() or not selected.any()
            all_words += bool(ordinary.any())
            chosen_words += bool(selected.any())
    assert is_near(chosen_words / all_words, 0.2, all_words)


def test_masking_single_tokens_splits_words(words, many):
    """Check that single-token masking does split words, so that the test above can fail."""
    starts = words.word_starts(many)
    _, labels = mask(words, many, rate=0.2)
    pieces = np.flatnonzero(~starts[:, 1:].reshape(-1))
    split = [(labels[:, 1:].reshape(-1)[i] == IGNORE_INDEX) != (labels[:, :-1].reshape(-1)[i] == IGNORE_INDEX) for i in pieces]
    assert sum(split) > 100


def test_word_starts_by_hand(words):
    # [CLS] play ##ing the film ##maker ##s . [SEP]
    ids = np.array([2, 5, 6, 8, 10, 11, 7, 14, 3])
    assert words.word_starts(ids).tolist() == [True, True, False, True, True, False, False, True, True]


def test_a_block_may_begin_inside_a_word(words):
    ids = np.array([[6, 7, 8]])
    starts = np.array([[False, False, True]])
    for seed in range(20):
        labels = mask(words, ids, starts, seed, rate=0.5)[1][0]
        assert (labels[0] == IGNORE_INDEX) == (labels[1] == IGNORE_INDEX)


def test_chinese_words_by_jieba(tmp_path):
    words = build_vocabulary(tmp_path, "今天北京大学的同上海")
    text = "今天北京大学的film同上海"
    ids = np.array(fast_tokenizer(tmp_path).encode(text).ids)
    single = words.word_starts(ids)
    assert single.all()
    joined = np.concatenate(list(words.chinese_word_starts(ids)))
    begins = "".join("|" * bool(start) + words.tokens[i] for i, start in zip(ids, joined, strict=True))
    assert begins == "|[CLS]|今天|北京大学|的|film|同|上海|[SEP]"


@pytest.mark.parametrize("size", [1, 3, 8])
def test_chinese_words_are_the_same_whatever_is_segmented_at_once(tmp_path, monkeypatch, size):
    words = build_vocabulary(tmp_path, "今天北京大学的同上海")
    ids = np.array(fast_tokenizer(tmp_path).encode("今天北京大学的film同上海 bad 北京大学今天").ids)
    (expected,) = words.chinese_word_starts(ids)
    monkeypatch.setattr(masking, "PART", size)
    assert np.concatenate(list(words.chinese_word_starts(ids))).tolist() == expected.tolist()
    parts = list(words.chinese_word_starts(ids))
    assert len(parts) > 2
    assert np.concatenate(list(words.chinese_word_starts(ids, len(parts[0])))).tolist() == expected[len(parts[0]) :].tolist()


def test_whole_words_need_word_pieces(tmp_path):
    (tmp_path / "vocab.json").write_text('{"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "a": 4, "<mask>": 5}')
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    words = Vocabulary(fast_tokenizer(tmp_path), [0, 1, 2, 3, 5], mask_id=5)
    with pytest.raises(UserError, match="whole_word needs a WordPiece tokenizer"):
        words.check_words()


def test_at_least_one_token_is_chosen(words):
    ids = np.array([[2, 8, 3]])
    for seed in range(30):
        assert mask(words, ids, None, seed, rate=0.01)[1].tolist() == [[IGNORE_INDEX, 8, IGNORE_INDEX]]
    assert (mask(words, np.array([[2, 3]]))[1] == IGNORE_INDEX).all()  # there is no ordinary token
