"""Remembered words give the very tokens that the tokenizer gives."""

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from dataset_build import MiniLM
from mixture_training.src.encoders import word_ids
from mixture_training.src.encoders.static_distillation import read_tokenizer
from mixture_training.src.encoders.word_ids import WordIds


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return read_tokenizer((MiniLM.packaged_folder() / "tokenizer.json").read_text(encoding="utf-8"))


@given(
    st.text()
    | st.text(alphabet=string.printable)
    | st.lists(
        st.sampled_from(["The", "price:", "$4.40", "[CLS]", "[", "x" * 101, "naïve", "日本", "a\tb", "\x7f"])
    ).map(" ".join)
)
@example("[SEP] and [MASK]ed, [unused1]")
@example("don't_stop\r\n(e.g. 3.14)")
@example("a\x0bb\x00c\x1cd\x85e\xa0f")
@example("İK K")  # grows, or becomes ASCII, in lower case
def test_a_text_has_the_tokens_that_the_tokenizer_gives_it(tokenizer: Tokenizer, text: str):
    words = WordIds(tokenizer)
    expected = tokenizer.encode(text, add_special_tokens=False).ids
    assert words.of(text) == expected
    assert words.of(text) == expected  # remembered


def test_words_are_remembered_up_to_a_number_and_long_ones_not(tokenizer: Tokenizer, monkeypatch):
    monkeypatch.setattr(word_ids, "MOST_WORDS", 3)
    words = WordIds(tokenizer)
    asked = []
    monkeypatch.setattr(words, "_ask", lambda text: asked.append(text) or [len(asked)])
    assert words.of("one two one") == [1, 2, 1]
    assert words.of(f"one {'x' * 40} {'x' * 40}") == [1, 3, 4]
    words.of("three four")  # the fourth word: those before are forgotten
    assert words.of("four one") == [6, 7]
    assert asked == ["one", "two", "x" * 40, "x" * 40, "three", "four", "one"]


def test_a_tokenizer_that_looks_beyond_words_is_asked_about_every_text():
    vocabulary = {"[UNK]": 0, "a": 1, "A": 2, " ": 3}
    cased = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    cased.normalizer, cased.pre_tokenizer = (
        normalizers.BertNormalizer(lowercase=False),
        pre_tokenizers.BertPreTokenizer(),
    )
    marked = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    marked.normalizer, marked.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    marked.add_special_tokens(["<s>"])
    for other in (cased, marked):
        assert WordIds(other).of("A <s> a") == other.encode("A <s> a", add_special_tokens=False).ids
