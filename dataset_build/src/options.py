"""Check the options a user gave against the constructor that will take them."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from pydantic import ConfigDict, PydanticSchemaGenerationError, TypeAdapter, ValidationError

from dataset_build.src.errors import ConfigError
from dataset_build.src.registry import nearest


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
