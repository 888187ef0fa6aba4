"""The text side of a local model: its chat template, the tokens of a prompt, the text of what it wrote."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dataset_build.src.experts.chat_call import ChatCall, text_of
from dataset_build.src.experts.model_place import ModelPlace
from dataset_build.src.records import storable


@dataclass(frozen=True, slots=True)
class Generated:
    """One generated text; the token that ended it counts as written, a stop string is not part of the text."""

    text: str
    completion_tokens: int
    finish_reason: str


def find_text(place: ModelPlace, template_options: Mapping[str, Any]) -> "ModelText | None":
    """Return the tokenizer of a model without asking the hub; None when it is not here or cannot be loaded."""
    try:
        return ModelText(place, template_options=template_options, local_files_only=True)
    except Exception:  # noqa: BLE001 - a damaged folder raises anything; loading the model itself will say what
        return None


class ModelText:
    """A tokenizer, used without its padding and cutting, so that several threads may use it at once.

    Args:
        place: The model it belongs to.
        template_options: Given to the chat template, such as `{"enable_thinking": False}`.
        local_files_only: Whether to leave the hub alone.

    Attributes:
        pad_id: The token that fills a row up; it is masked, so any will do where the model has none.
        end_id: The token that ends a text, by the tokenizer; None where it has none.
    """

    def __init__(self, place: ModelPlace, *, template_options: Mapping[str, Any], local_files_only: bool) -> None:
        from transformers import AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(place.name, **place.source(local_files_only=local_files_only))
        self._template_options = dict(template_options)
        self.end_id: int | None = self._tokenizer.eos_token_id
        pad_id = self._tokenizer.pad_token_id
        self.pad_id: int = next(token for token in (pad_id, self.end_id, 0) if token is not None)

    def prompt(self, text: str, system_prompt: str | None) -> str:
        """Return the text the model reads for an instruction, through its chat template where it has one."""
        return self.conversation([{"role": "user", "content": text}], system_prompt)

    def conversation(self, messages: Sequence[Mapping[str, Any]], system_prompt: str | None) -> str:
        """Return the text the model reads for a conversation; only the texts of its messages count.

        Args:
            messages: At least one.
            system_prompt: Comes first where no message says how to behave.
        """
        turns = [{"role": str(m.get("role", "user")), "content": text_of(m.get("content"))} for m in messages]
        brings_system = any(turn["role"] in ("system", "developer") for turn in turns)
        system = None if brings_system else system_prompt
        if not self._tokenizer.chat_template:
            text = ChatCall(tuple(turns)).transcript
            return f"{system}\n\n{text}" if system else text
        from jinja2 import TemplateError

        turns = [{**turn, "role": "system"} if turn["role"] == "developer" else turn for turn in turns]
        if system:
            turns.insert(0, {"role": "system", "content": system})
        try:
            return self._templated(turns)
        except TemplateError:
            if turns[0]["role"] != "system" or len(turns) < 2:
                raise
            # A template that knows no system role, such as Gemma's.
            text = f"{turns[0]['content']}\n\n{turns[1]['content']}"
            return self._templated([{**turns[1], "content": text}, *turns[2:]])

    def _templated(self, messages: list[dict[str, str]]) -> str:
        return str(
            self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True, **self._template_options
            )
        )

    def encode(self, prompts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of each prompt."""
        # A chat template writes the special tokens itself. Prompts that are too long are refused, not warned about.
        encoded = self._tokenizer(
            [storable(prompt) for prompt in prompts],
            add_special_tokens=not self._tokenizer.chat_template,
            verbose=False,
        )
        return [list(ids) for ids in encoded["input_ids"]]

    def special_id(self, text: str) -> int | None:
        """Return the token that stands for exactly this text, such as `<|im_end|>`, when it is an added one."""
        token = self._tokenizer.get_added_vocab().get(text)
        return None if token is None else int(token)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of some tokens, special ones left out."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))

    def read(self, written: Sequence[int], *, ends: Collection[int], stop: Sequence[str], most: int) -> Generated:
        """Return the text of one row of a model's output, up to where it ended.

        Args:
            written: The tokens after the prompt, with the padding behind them.
            ends: Tokens that end a text.
            stop: Strings that end it, too.
            most: Tokens it was allowed to write.
        """
        end = next((n for n, token in enumerate(written) if token in ends), None)
        kept = list(written if end is None else written[: end + 1])
        text = self.decode(kept)
        if found := [text.index(string) for string in stop if string in text]:
            count = self._tokens_up_to_stop(kept, stop)
            return Generated(text[: min(found)].strip(), count, "stop")
        was_cut = end is None and len(kept) >= most
        return Generated(text.strip(), len(kept), "length" if was_cut else "stop")

    def _tokens_up_to_stop(self, tokens: Sequence[int], stop: Sequence[str]) -> int:
        """Return how many tokens it takes until one of the strings is whole."""
        low, high = 1, len(tokens)
        while low < high:
            middle = (low + high) // 2
            text = self.decode(tokens[:middle])
            if any(string in text for string in stop):
                high = middle
            else:
                low = middle + 1
        return low
