"""Check the options a user gave against the constructor that will take them."""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from pydantic import ConfigDict, PydanticSchemaGenerationError, TypeAdapter, ValidationError

from dataset_build.src.errors import ConfigError
from dataset_build.src.registry import nearest

_SECRET = re.compile(r"api_?key|authorization|password|secret|(^|_)token$", re.IGNORECASE)


def names_secret(key: str) -> bool:
    """Return whether a key names a secret; the name of an environment variable (`api_key_env`) is none."""
    return bool(_SECRET.search(key)) and not key.endswith("_env")


def refuse_secrets(options: object, *, where: str) -> None:
    """Refuse options that hold a secret, at any depth, without showing it.

    Raises:
        ConfigError: one does.
    """
    if isinstance(options, Mapping):
        for key, inner in options.items():
            if names_secret(str(key)):
                raise ConfigError(
                    f"{where}: {key!r} would put a secret into files; set an environment variable and give its name "
                    "as api_key_env."
                )
            if not str(key).endswith("_env"):  # it holds names of variables
                refuse_secrets(inner, where=where)
    elif isinstance(options, list):
        for inner in options:
            refuse_secrets(inner, where=where)


def check_options(constructor: Callable[..., object], options: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """Return `options`, each as the type the constructor asks for ("3" from a file becomes 3).

    Args:
        constructor: A class; its parameters are the known options.
        options: Name to value, as read from a file or the command line.
        where: What to call them in messages ("Expert 'gpt'").

    Raises:
        ConfigError: an option is unknown (the message names the nearest), missing or of the wrong type. Values of
            unknown options are never shown: one of them may be a key.
    """
    parameters = inspect.signature(constructor).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    named = [
        name
        for name, parameter in parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    for name in options:
        if name not in named and not takes_any:
            raise ConfigError(f"{where}: unknown option {name!r}.{nearest(name, named)} Known: {', '.join(named)}.")
    for name in named:
        if parameters[name].default is inspect.Parameter.empty and name not in options:
            raise ConfigError(f"{where}: option {name!r} is missing. Known: {', '.join(named)}.")
    hints = _hints(constructor)
    return {name: _typed(hints.get(name, Any), value, name, where) for name, value in options.items()}


def _hints(constructor: Callable[..., object]) -> dict[str, Any]:
    initialiser = constructor.__init__ if isinstance(constructor, type) else constructor  # type: ignore[misc]
    try:
        return get_type_hints(initialiser)
    except NameError:  # a third party's annotation that exists for type checkers only
        return {}


def _typed(hint: Any, value: Any, name: str, where: str) -> Any:  # noqa: ANN401 - any option of any constructor
    if hint is Any or (isinstance(hint, type) and isinstance(value, hint)):
        return value
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(hint)
    except PydanticSchemaGenerationError:
        adapter = TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    try:
        return adapter.validate_python(value)
    except ValidationError as invalid:
        raise ConfigError(f"{where}: {name} is {value!r}: {invalid.errors()[0]['msg']}.") from None


def without_secrets(value: Any) -> Any:  # noqa: ANN401
    """Return plain values without the entries whose key names a secret; names of environment variables stay."""
    if isinstance(value, Mapping):
        return {key: without_secrets(inner) for key, inner in value.items() if not names_secret(str(key))}
    if isinstance(value, list):
        return [without_secrets(inner) for inner in value]
    return value
