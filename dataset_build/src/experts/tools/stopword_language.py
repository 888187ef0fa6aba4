"""Which language a text is in, by its script and a few stop words. Rough, and done in microseconds."""

import re

from dataset_build.src.experts.base import CannotAnswerError, ToolExpert
from dataset_build.src.experts.tools.language_requests import foreign_text

#: The first script found decides, in this order (Japanese texts hold Chinese characters too).
_SCRIPTS = (
    ("Japanese", re.compile(r"[\u3040-\u30ff]")),
    ("Korean", re.compile(r"[\uac00-\ud7af]")),
    ("Chinese", re.compile(r"[\u4e00-\u9fff]")),
    ("Greek", re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]")),
    ("Arabic", re.compile(r"[\u0600-\u06ff]")),
    ("Hebrew", re.compile(r"[\u0590-\u05ff]")),
    ("Hindi", re.compile(r"[\u0900-\u097f]")),
    ("Thai", re.compile(r"[\u0e00-\u0e7f]")),
    ("Russian", re.compile(r"[\u0400-\u04ff]")),
)
_STOP_WORDS = {
    language: frozenset(words.split())
    for language, words in {
        "English": "the of and is in to it that was for on with as he she they this because before",
        "German": "der die das und ist nicht ein eine den dem von zu mit auf für im am hat",
        "French": "le la les des et est un une du dans que qui pour pas ne sur avec au",
        "Spanish": "el la los las y es un una que en por con para del se no al su",
        "Italian": "il lo la gli e è un una che di non per con del della sono alla le",
        "Portuguese": "o a os as e é um uma que em não por com para do da ao no na",
        "Dutch": "de het een en is niet van op te dat voor met zijn aan er om ook",
        "Swedish": "och att det som en på är av för den med inte till ett har om",
        "Polish": "i w na z do się nie jest to że o jak po za ale od przed",
        "Turkish": "ve bir bu da de için ile çok ne gibi daha mi var olarak",
        "Finnish": "ja on ei se että oli hän mutta kun niin ovat myös tai koska",
    }.items()
}
_WORD = re.compile(r"[^\W\d_]+")


class StopwordLanguage(ToolExpert):
    """Knows nine scripts, each as its commonest language, and the stop words of eleven languages."""

    tool_name = "stopword_language"
    tool_description = "Guesses the language of a text from its script or a few stop words; rough and fast."

    def solve(self, text: str) -> str:
        """Return the English name of the language with the most stop words in the text.

        Raises:
            CannotAnswerError: no language is asked for, or no known word is in the text.
        """
        sample = foreign_text(text)
        for language, script in _SCRIPTS:
            if script.search(sample):
                return language
        words = _WORD.findall(sample.lower())
        counts = {language: sum(word in known for word in words) for language, known in _STOP_WORDS.items()}
        best = max(counts, key=lambda language: counts[language])
        if not counts[best]:
            raise CannotAnswerError("it has none of the words I know")
        return best
