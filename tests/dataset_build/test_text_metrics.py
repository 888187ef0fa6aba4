"""BLEU, chrF, ROUGE, METEOR and token F1, beside the libraries and formulas they follow."""

import random
import string
from collections import Counter
from functools import partial

import pytest

from dataset_build import ConfigError, Instruction
from dataset_build.src.errors import MissingDependencyError
from dataset_build.src.evaluator import Evaluator
from dataset_build.src.scorers import scorers
from dataset_build.src.scorers.base import needed
from dataset_build.src.scorers.bleu import extract_text
from dataset_build.src.scorers.rouge import extract_words
from dataset_build.src.scorers.token_f1 import extract_tokens
from dataset_build.src.scorers.words import spaced

LATIN = """the a cat cats sat sitting on mat. Mat, dog's 3.5 1,000 don't – café naïve U.S. (well) "so" e.g. run-time
           x_y""".split()  # noqa: SIM905 - a sentence reads better than a list
CYRILLIC = ["кошка", "кошки", "сидит", "на", "коврике,", "и", "собака.", "Это", "–", "3,5", "км"]
GREEK_ARABIC = ["η", "γάτα", "κάθεται", "στο", "χαλί", "القط", "جلس", "على", "السجادة", "है", "बिल्ली", "चटाई", "पर"]
UNSPACED = ["猫が", "マットの上に", "座った。", "我爱", "北京", "แมวนั่ง", "บนเสื่อ"]
KOREAN = ["고양이가", "매트", "위에", "앉았다", "개는", "달린다"]


def sentence(rng, words):
    picked = rng.choices(words, k=rng.randint(0, 14))
    return ("" if words is UNSPACED else rng.choice([" ", " ", "\n", "  "])).join(picked)


def pairs(count=1000, scripts=(LATIN, CYRILLIC, GREEK_ARABIC, KOREAN)):
    """Yield (answer, reference): empty ones, unrelated ones, and references with some words changed."""
    rng = random.Random(7)
    for number in range(count):
        words = scripts[number % len(scripts)]
        reference = sentence(rng, words)
        if number % 3 == 0:
            yield sentence(rng, words), reference
        else:
            changed = [word if rng.random() < 0.8 else rng.choice(words) for word in reference.split()]
            if rng.random() < 0.3:
                rng.shuffle(changed)
            yield " ".join(changed), reference
        if number % 50 == 0:
            yield "", reference
            yield reference, ""


def ours(metric, text, reference, **options):
    key = (metric, *options.items())
    if key not in ours.made:
        ours.made[key] = scorers[metric](**options)
    return ours.made[key].score(Instruction.create("?", reference=reference), text).value


ours.made = {}


def check(metric, theirs, given, same=str.strip, **options):
    """Compare with a library; what it says of a blank reference, or of the reference itself, is ours to decide."""
    compared = 0
    for text, reference in given:
        value = ours(metric, text, reference, **options)
        if not reference.strip():
            assert value is None
        elif same(text) == same(reference):
            assert value == 1.0 or not same(reference)
        else:
            assert value == pytest.approx(theirs(text, reference), abs=1e-6), (text, reference)
            compared += 1
    assert compared > 400


@pytest.mark.parametrize("lowercase", [False, True])
def test_bleu_is_that_of_sacrebleu(lowercase):
    bleu = pytest.importorskip("sacrebleu").BLEU(effective_order=True, lowercase=lowercase)
    check("bleu", lambda text, ref: bleu.sentence_score(text, [ref]).score / 100, pairs(), lowercase=lowercase)


def test_bleu_of_unspaced_scripts_is_that_of_sacrebleu_on_spaced_signs():
    bleu = pytest.importorskip("sacrebleu").BLEU(effective_order=True)
    given = list(pairs(scripts=(UNSPACED,)))
    check("bleu", lambda text, ref: bleu.sentence_score(spaced(text), [spaced(ref)]).score / 100, given)
    plain = pytest.importorskip("sacrebleu").BLEU(effective_order=True, tokenize="zh")
    check("bleu", lambda text, ref: plain.sentence_score(text, [ref]).score / 100, given, tokenizer="zh")
    assert extract_text("猫だ") == " 猫  だ "


@pytest.mark.parametrize("word_order", [0, 2])
def test_chrf_is_that_of_sacrebleu(word_order):
    chrf = pytest.importorskip("sacrebleu").CHRF(word_order=word_order)
    given = pairs(scripts=(LATIN, CYRILLIC, GREEK_ARABIC, KOREAN, UNSPACED))
    check("chrf", lambda text, ref: chrf.sentence_score(text, [ref]).score / 100, given, word_order=word_order)


class OurTokenizer:
    """Gives the package rouge-score the words this project reads."""

    def tokenize(self, text):
        return extract_words(text)


@pytest.mark.parametrize(("metric", "theirs"), [("rouge1", "rouge1"), ("rouge2", "rouge2"), ("rouge_l", "rougeL")])
def test_rouge_is_that_of_rouge_score(metric, theirs):
    rouge = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer
    for options, scorer in (
        ({}, rouge([theirs], tokenizer=OurTokenizer())),
        ({"tokenizer": "ascii"}, rouge([theirs])),
        ({"tokenizer": "ascii", "stem": True}, rouge([theirs], use_stemmer=True)),
    ):
        scripts = (LATIN,) if options else (LATIN, CYRILLIC, GREEK_ARABIC, KOREAN, UNSPACED)
        words = partial(extract_words, tokenizer=options.get("tokenizer", "unicode"))
        check(
            metric,
            lambda text, ref, s=scorer: s.score(ref, text)[theirs].fmeasure,
            pairs(scripts=scripts),
            words,
            **options,
        )


def test_meteor_is_that_of_nltk_without_synonyms():
    meteor = pytest.importorskip("nltk.translate.meteor_score").single_meteor_score
    tokenize = pytest.importorskip("nltk.tokenize").NLTKWordTokenizer().tokenize

    class NoSynonyms:
        def synsets(self, word):
            return []

    def theirs(text, reference):
        return meteor(tokenize(spaced(reference)), tokenize(spaced(text)), wordnet=NoSynonyms())

    given = pairs(scripts=(LATIN, CYRILLIC, GREEK_ARABIC, KOREAN, UNSPACED))
    check("meteor", theirs, given, lambda text: [word.lower() for word in tokenize(spaced(text))])


def squad_f1(text, reference):
    def words(one):
        one = "".join(sign for sign in one.lower() if sign not in string.punctuation)
        return " ".join(" " if word in ("a", "an", "the") else word for word in one.split()).split()

    given, expected = words(text), words(reference)
    if not given or not expected:
        return float(given == expected)
    same = (Counter(given) & Counter(expected)).total()
    return 2 * same / (len(given) + len(expected))


def test_token_f1_is_that_of_squad_on_ascii():
    words = ["the", "a", "an", "cat's", "sat,", "Mat.", "dog", "U.S.", "3.5", "(well)"]
    check("token_f1", squad_f1, [pair for pair in pairs(scripts=(words,)) if extract_tokens(pair[1])], extract_tokens)


@pytest.mark.parametrize(
    ("metric", "text", "reference", "expected"),
    [
        ("rouge1", "The cat lay on the mat.", "the cat sat on the mat", 5 / 6),
        ("rouge2", "The cat lay on the mat.", "the cat sat on the mat", 0.6),
        ("rouge_l", "the mat on cat", "the cat on the mat", 4 / 9),
        ("rouge1", "Кошка спит", "кошка спит!", 1.0),
        ("rouge2", "Paris", "Paris", 1.0),
        ("meteor", "paris", "Paris", 1.0),
        ("meteor", "he walked home", "he walks home", 0.98148),
        ("meteor", "猫が好き", "猫が嫌い", 0.46875),
        ("bleu", "Paris", "Paris", 1.0),
        ("bleu", "我爱上海", "我爱北京", 0.3195),
        ("chrf", "Кошки спят", "Кошка спит", 0.3069),
        ("token_f1", "It is the Eiffel Tower.", "the Eiffel Tower", 2 / 3),
        ("token_f1", "“L’été”", "l'ete", 0.0),
        ("token_f1", "the", "an", 0.0),
    ],
)
def test_known_scores(metric, text, reference, expected):
    assert ours(metric, text, reference) == pytest.approx(expected, abs=2e-4)


def test_tokens_lose_case_punctuation_and_articles():
    assert extract_tokens("**The** U.S.A., – “a country”!") == ["usa", "country"]
    assert extract_words("Zoë's cat_s", "unicode") == ["zoë", "s", "cat", "s"]


def test_sacrebleu_s_memory_is_emptied(monkeypatch):
    monkeypatch.setattr("dataset_build.src.scorers.bleu._FORGET_AFTER", 200)
    scorer = scorers["bleu"]()
    for number in range(40):
        scorer.score(Instruction.create("?", reference=f"reference {number}"), f"answer {number}")
    assert type(scorer._bleu.tokenizer).__call__.cache_info().currsize < 30


def test_a_missing_package_is_named_with_the_line_that_installs_it():
    with pytest.raises(MissingDependencyError, match=r"bleu.*no_such_package: pip install"):
        needed("no_such_package.inner", metric="bleu")


@pytest.mark.parametrize(
    "metric", ['rouge1{"tokenizer": "french"}', 'bleu{"tokenize": "zh"}', 'chrf{"word_order": "x"}']
)
def test_wrong_options_are_refused_before_anything_runs(metric):
    with pytest.raises(ConfigError):
        Evaluator(metric)
