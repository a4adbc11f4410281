"""Test that the ids equal those of PaddleNLP's own tokenizers, on difficult and on random strings."""

import json
import random
import string

import pytest
from tokenizers import Tokenizer, models
from tokenizers.pre_tokenizers import ByteLevel

from paddle_ft.system.errors import UserError
from paddle_ft.tokenization.fast import fast_tokenizer

HARD = [
    "",
    "   ",
    "Hello, World! hello",
    "naïve café Ünïcode ÀÉÎ",
    "[SEP] in a [MASK] review [CLS]",
    "[sep] <MASK>",
    "a</s> b <mask> c<s>d <pad>  e",
    "中文，混合 English文本123",
    "价格￥100、€5☆★©®™",
    "emoji 😀👍🏽🫨 x",
    "tab\tnew\nline\r\nx",
    "zero\u200bwidth\ufeff\u00ad soft\u2028sep\u2029 \u3000 wide",
    "ＦＵＬＬ　ｗｉｄｔｈ",
    "가나다 한국어 がぎぐ カタカナ",
    "\x00\ufffd\x0b\x0c\x1c control",
    "x" * 101 + " " + "x" * 100,
    "don't can't I'm we'll THEY'RE",
    "<genre> and <GENRE>x  <genre>  y Rock rock ROCK",
    "<A>  y<b> z <a>",
    "<BOS> x  <EOS> y <|endoftext|> z",
    "  leading   double  spaces  ",
    "ΑΣ ΣΑΣ İstanbul ß ﬁ ½",
    "\U0002b825\U00020000𠮷 豈更\U0002f800",
    "1,234.56% ²º〇µØŋƱ",
    "a\u0301e\u0300 \ue000private\ue0001",
]


def random_texts(count=300):
    rng = random.Random(0)
    common = [*"abcXYZ 019.,'\"!?[]<>$", *"中文，。éÉßİ☆😀가が\u0301\u200b\u3000\t\n", "  ", "[SEP]", "<mask>", "</s>", "<genre>"]
    for _ in range(count):
        length = rng.randrange(1, 40)
        any_characters = [chr(rng.choice([rng.randrange(32, 0xD7FF), rng.randrange(0xE000, 0x1FFFF)])) for _ in range(length)]
        yield "".join(rng.choice(common) if rng.random() < 0.93 else other for other in any_characters)


def wordpiece_directory(folder, **config):
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "world", "cafe", "café", "##12", "the", "##re"]
    pieces += [*string.printable[:95].replace(" ", ""), *"中文混合，。￥☆★©€가😀éàσ豈", "rock", "Rock", "☆", "ᄀ"]
    pieces += [f"##{letter}" for letter in string.ascii_letters + string.digits]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def byte_level_directory(folder, specials):
    """Write a vocabulary of all bytes and the merges learned from a small text."""
    from tokenizers import trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=specials, initial_alphabet=ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(["hello world, don't they're 中文中文 naïve café control  spaces"] * 3, trainer)
    tokenizer.model.save(str(folder))
    return folder


def load_slow_and_fast(directory, class_name, added=(), special=None, saved=None):
    """Return PaddleNLP's tokenizer, and ours from the same directory (or from what PaddleNLP saved to `saved`)."""
    import paddlenlp.transformers as library

    slow = getattr(library, class_name).from_pretrained(str(directory))
    if added:
        slow.add_tokens(list(added))
    if special:
        slow.add_special_tokens(special)
    if saved is not None:
        slow.save_pretrained(str(saved))
    return slow, fast_tokenizer(saved or directory)


def assert_equal_ids(slow, fast, pairs=True):
    for text in [*HARD, *random_texts()]:
        assert fast.encode(text).ids == slow(text)["input_ids"], repr(text)
    if pairs:
        expected, encoded = slow("hello world", "the rock"), fast.encode("hello world", "the rock")
        assert encoded.ids == expected["input_ids"]
        assert encoded.type_ids == expected["token_type_ids"]


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"do_lower_case": False},
        {"do_lower_case": False, "strip_accents": True},
        {"do_lower_case": True, "strip_accents": False},
        {"tokenize_chinese_chars": False},
    ],
)
def test_wordpiece(tmp_path, config):
    assert_equal_ids(*load_slow_and_fast(wordpiece_directory(tmp_path, **config), "BertTokenizer"))


@pytest.mark.parametrize("lower", [True, False])
def test_wordpiece_with_added_tokens(tmp_path, lower):
    directory = wordpiece_directory(tmp_path, do_lower_case=lower)
    special = {"additional_special_tokens": ["<A>", "<b>"]}
    slow, fast = load_slow_and_fast(directory, "BertTokenizer", ["<genre>", "Rock!"], special, tmp_path / "saved")
    assert_equal_ids(slow, fast)
    assert fast.token_to_id("<genre>") == slow.convert_tokens_to_ids("<genre>")


def test_wordpiece_with_ids_that_leave_gaps(tmp_path):
    directory = wordpiece_directory(tmp_path)
    (directory / "added_tokens.json").write_text('{"<genre>": 500}')
    assert fast_tokenizer(directory).encode("a <genre> b").ids[2] == 500


@pytest.mark.parametrize("special_map", [None, {"bos_token": "<s>", "mask_token": {"content": "<mask>", "lstrip": True}}])
def test_bart(tmp_path, special_map):
    directory = byte_level_directory(tmp_path, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    if special_map:
        (directory / "special_tokens_map.json").write_text(json.dumps(special_map))
    slow, fast = load_slow_and_fast(directory, "BartTokenizer")
    assert_equal_ids(slow, fast)
    assert fast.encode("a").ids[0] == 0 and fast.encode("a").ids[-1] == 2


def test_bart_with_added_tokens(tmp_path):
    directory = byte_level_directory(tmp_path, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    special = {"additional_special_tokens": ["<A>", "<b>"]}
    assert_equal_ids(*load_slow_and_fast(directory, "BartTokenizer", ["<genre>"], special, tmp_path / "saved"))


def test_gpt2(tmp_path):
    directory = byte_level_directory(tmp_path, ["<|endoftext|>"])
    special = {"bos_token": "<BOS>", "eos_token": "<EOS>", "pad_token": "<PAD>"}
    slow, fast = load_slow_and_fast(directory, "GPTTokenizer")
    assert_equal_ids(slow, fast, pairs=False)
    slow, fast = load_slow_and_fast(directory, "GPTTokenizer", ["<genre>"], special, tmp_path / "saved")
    assert_equal_ids(slow, fast, pairs=False)
    assert fast.encode("<BOS>").ids == [slow.bos_token_id]


def test_gpt2_with_its_first_token(tmp_path):
    directory = byte_level_directory(tmp_path, ["<|endoftext|>"])
    (directory / "tokenizer_config.json").write_text('{"tokenizer_class": "GPTTokenizer", "add_bos_token": true}')
    fast = fast_tokenizer(directory)
    assert fast.encode("").ids == [0]
    assert fast.encode("hello").ids[0] == 0 and len(fast.encode("hello").ids) > 1


@pytest.mark.parametrize(
    ("build", "config", "message"),
    [
        (byte_level_directory, {"tokenizer_class": "GPTTokenizer", "add_prefix_space": True}, "add_prefix_space=true"),
        (wordpiece_directory, {"do_basic_tokenize": False}, "do_basic_tokenize=false or never_split"),
        (wordpiece_directory, {"never_split": ["x"]}, "do_basic_tokenize=false or never_split"),
    ],
)
def test_settings_that_would_give_other_ids_are_refused(tmp_path, build, config, message):
    build(tmp_path, *([["<|endoftext|>"]] if build is byte_level_directory else []))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=message):
        fast_tokenizer(tmp_path)


def test_tokenizer_json_comes_first_and_loses_its_truncation(tmp_path):
    directory = wordpiece_directory(tmp_path)
    tokenizer = Tokenizer(models.WordLevel({"only": 0, "[UNK]": 1}, unk_token="[UNK]"))
    tokenizer.enable_truncation(1)
    tokenizer.enable_padding(length=5)
    tokenizer.save(str(directory / "tokenizer.json"))
    assert fast_tokenizer(directory).get_vocab() == {"only": 0, "[UNK]": 1}
    assert fast_tokenizer(directory).truncation is None and fast_tokenizer(directory).padding is None


def test_a_directory_without_usable_tokenizer_files_is_refused(tmp_path):
    with pytest.raises(UserError, match="no tokenizer here: neither tokenizer.json, vocab.txt nor vocab.json with merges"):
        fast_tokenizer(tmp_path)
    (tmp_path / "vocab.txt").write_text("a\nb\n")
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(UserError, match=r"tokenizer_config\.json: not valid JSON"):
        fast_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="the tokenizer's files cannot be used"):
        fast_tokenizer(tmp_path)


def test_a_merge_that_the_vocabulary_lacks(tmp_path):
    byte_level_directory(tmp_path, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    with open(tmp_path / "merges.txt", "a") as file:
        file.write("q q\n")
    with pytest.raises(UserError, match="the tokenizer's files cannot be used: .*qq"):
        fast_tokenizer(tmp_path)


def test_ids_become_the_text_again(tmp_path):
    """Decoding joins the pieces of words: no ## and no Ġ is left."""
    tokenizer = fast_tokenizer(wordpiece_directory(tmp_path, do_lower_case=True))
    assert tokenizer.decode(tokenizer.encode("there, hello abc12").ids) == "there, hello abc12"
    (tmp_path / "gpt").mkdir()
    words = [*ByteLevel.alphabet(), "<|endoftext|>"]
    (tmp_path / "gpt" / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (tmp_path / "gpt" / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = fast_tokenizer(tmp_path / "gpt")
    assert tokenizer.decode(tokenizer.encode("naïve  words, 中文").ids) == "naïve  words, 中文"
