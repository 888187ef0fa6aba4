"""The sentence of a passage that answers a question, by likeness of meaning (MiniLM)."""

from dataset_build.src.experts.tools.encoding_tool import EncodingTool
from dataset_build.src.experts.tools.passages import content_words, question_in

#: Sentences encoded; of a longer passage, those that share most words with the question.
_MAX_SENTENCES = 12


class MinilmPassages(EncodingTool):
    """Compares the meaning of the question with that of each sentence; slow, and it knows synonyms."""

    tool_name = "minilm_passages"
    tool_description = "Questions about a given passage: quotes the sentence nearest in meaning (neural, slower)."

    def solve(self, text: str) -> str:
        """Return the sentence.

        Raises:
            CannotAnswerError: there is no question about a passage.
        """
        passage = question_in(text)
        wanted = set(content_words(passage.question))
        # The sort is stable: sentences that share as many words stay in order.
        likely = sorted(passage.sentences, key=lambda sentence: -len(wanted & set(content_words(sentence))))
        sentences = likely[:_MAX_SENTENCES] if len(likely) > _MAX_SENTENCES else list(passage.sentences)
        vectors = self.encoder().encode([passage.question, *sentences])
        return sentences[int((vectors[1:] @ vectors[0]).argmax())]
