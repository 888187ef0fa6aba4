"""The sentence of a passage that answers a question, by the words they share (BM25, bm25s)."""

from dataset_build.src.errors import MissingDependencyError
from dataset_build.src.experts.base import CannotAnswerError, ToolExpert
from dataset_build.src.experts.tools.passages import content_words, question_in

#: Sentences searched; further ones are left out.
_MAX_SENTENCES = 200


class Bm25Passages(ToolExpert):
    """Ranks sentences by rare words in common with the question (Robertson et al. 1994); knows no synonyms."""

    tool_name = "bm25_passages"
    tool_description = "Questions about a given passage: quotes the sentence that shares most words with the question."

    def warm_up(self) -> None:
        """Import the library."""
        try:
            import bm25s  # noqa: F401
        except ImportError as error:
            raise MissingDependencyError('Install the tools: pip install "moe-toolkit[tools]"') from error

    def solve(self, text: str) -> str:
        """Return the sentence.

        Raises:
            CannotAnswerError: there is no question about a passage, or no sentence shares a word with it.
        """
        passage = question_in(text)
        self.warm_up()
        import bm25s

        sentences = passage.sentences[:_MAX_SENTENCES]
        words = [content_words(sentence) for sentence in sentences]
        known = {word for sentence in words for word in sentence}
        query = [word for word in content_words(passage.question) if word in known]
        if not query:
            raise CannotAnswerError("no sentence shares a word with the question")
        index = bm25s.BM25(backend="numpy")
        index.index(words, show_progress=False, leave_progress=False)
        return sentences[int(index.get_scores(query).argmax())]
