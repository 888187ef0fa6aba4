"""How a conversation wants its answer written, in the terms of a model on this machine."""

from dataclasses import replace
from typing import Any

from dataset_build.src.errors import ExpertRefusedError
from dataset_build.src.experts.chat_call import ChatCall, asked_bound
from dataset_build.src.experts.local_model import Writing


def writing_for(call: ChatCall, own: Writing, *, expert: str) -> Writing:
    """Return `own` with what the options of a call say about it; further options count for nothing here.

    Raises:
        ExpertRefusedError: an option is out of its range (`bad_request`).
    """
    options = call.options
    stop = options.get("stop")
    stops = own.stop if stop is None else (stop,) if isinstance(stop, str) else stop
    if not isinstance(stops, list | tuple) or not all(isinstance(one, str) and one for one in stops):
        raise _refused("stop", stop, expert)
    return replace(
        own,
        max_new_tokens=asked_bound(options) or own.max_new_tokens,
        temperature=_number("temperature", options, own.temperature, 0.0, 100.0, expert),
        top_p=_number("top_p", options, own.top_p, 1e-6, 1.0, expert),
        stop=tuple(stops),
    )


def _number(name: str, options: Any, own: Any, least: float, most: float, expert: str) -> Any:  # noqa: ANN401
    value = options.get(name)
    if value is None:
        return own
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise _refused(name, value, expert)
    return float(value)


def _refused(name: str, value: object, expert: str) -> ExpertRefusedError:
    message = f"{name} is {value!r:.60}, which this model cannot be asked for"
    return ExpertRefusedError(message, expert=expert, kind="bad_request")
