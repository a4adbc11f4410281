import pytest
from rouge_score.tokenizers import DefaultTokenizer

from paddle_ft.metrics.text import CharacterWordTokenizer, detect_language, resolve_language

tokenize = CharacterWordTokenizer().tokenize


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("北京时间8点", ["北", "京", "时", "间", "8", "点"]),
        ("增长3.5%，达1,234,567.8亿元", ["增", "长", "3.5%", "达", "1,234,567.8", "亿", "元"]),
        ("占比约４０％", ["占", "比", "约", "40%"]),  # full-width digits and percent sign
        ("iPhone6售价5,288元", ["iphone6", "售", "价", "5,288", "元"]),
        ("1,2,3", ["1", "2", "3"]),  # a list, not thousands
        ("Don't panic, state-of-the-art!", ["don", "t", "panic", "state", "of", "the", "art"]),
        ("Café au lait", ["café", "au", "lait"]),
        ("東京タワー・ビール々", ["東", "京", "タ", "ワ", "ー", "ビ", "ー", "ル", "々"]),
        ("한국어 서울", ["한", "국", "어", "서", "울"]),
        ("𠮷野家", ["𠮷", "野", "家"]),  # outside the basic plane
        ("，。！“”——…… 😀", []),
        ("", []),
    ],
)
def test_tokens(text, tokens):
    assert tokenize(text) == tokens


def test_plain_english_is_cut_as_rouge_score_cuts_it():
    text = "It's the 2nd of May 2014; U.S. officials -- all 12 of them -- said snake_case isn't theirs (AP)."
    assert tokenize(text) == DefaultTokenizer(use_stemmer=False).tokenize(text)


@pytest.mark.parametrize(
    ("texts", "language"),
    [(["苹果发布iPhone6"], "zh"), (["Apple launches iPhone 6 in 中国"], "en"), ([""], "en"), (["", "今天"], "zh")],
)
def test_detect_language(texts, language):
    assert detect_language(texts) == language
    assert resolve_language("auto", texts) == language


def test_unknown_language():
    with pytest.raises(ValueError, match="language is 'fr': expected zh, en or auto"):
        resolve_language("fr", ["bonjour"])
