"""JSON Schema's keywords whose checking by the package jsonschema can take for ever, checked in bounded time.

Python's `re` tries some patterns exponentially long, and `uniqueItems` compares every pair of objects.
"""

import json
import math
import time
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from dataset_build.src.scorers.base import needed
from dataset_build.src.scorers.bounded_patterns import BoundedPatterns


class BoundedKeywords:
    """The checks of `pattern`, `patternProperties`, `additionalProperties`, `uniqueItems` and `multipleOf`.

    A check raises TimeoutError when the patterns have taken longer, all together, than `restart` allowed.

    Raises:
        MissingDependencyError: the package `regex` is not installed.
    """

    def __init__(self) -> None:
        self._patterns = BoundedPatterns("json_schema")
        self._invalid = needed("jsonschema", metric="json_schema").ValidationError
        self._deadline = 0.0

    def restart(self, seconds: float) -> None:
        """Allow the patterns so many seconds from now on."""
        self._deadline = time.monotonic() + seconds

    def table(self) -> dict[str, Any]:
        """Return keyword -> check, as jsonschema takes them."""
        return {
            "pattern": self.pattern,
            "patternProperties": self.pattern_properties,
            "additionalProperties": self.additional_properties,
            "uniqueItems": self.unique_items,
            "multipleOf": self.multiple_of,
        }

    def pattern(self, validator: Any, wanted: str, instance: object, schema: object) -> Iterator[Exception]:  # noqa: ANN401
        """A string matches the pattern."""
        if validator.is_type(instance, "string") and not self._matches(wanted, str(instance)):
            yield self._invalid("the pattern does not match")

    def pattern_properties(
        self, validator: Any, wanted: Mapping[str, Any], instance: Any, schema: object  # noqa: ANN401
    ) -> Iterator[Exception]:  # fmt: skip
        """Properties whose names match keep to the schema that stands with the pattern."""
        if validator.is_type(instance, "object"):
            for expression, inner in wanted.items():
                for name, value in instance.items():
                    if self._matches(expression, name):
                        yield from validator.descend(value, inner, path=name, schema_path=expression)

    def additional_properties(self, validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[Exception]:  # noqa: ANN401
        """Properties that are neither named nor matched keep to a schema, or do not exist."""
        if not validator.is_type(instance, "object"):
            return
        known, expressions = schema.get("properties", {}), schema.get("patternProperties", {})
        for name, value in instance.items():
            if name in known or any(self._matches(expression, name) for expression in expressions):
                continue
            if wanted is False:
                yield self._invalid("a property is not allowed")
            else:
                yield from validator.descend(value, wanted, path=name)

    def unique_items(self, validator: Any, wanted: bool, instance: Any, schema: object) -> Iterator[Exception]:  # noqa: ANN401
        """No item of an array equals another one."""
        if wanted and validator.is_type(instance, "array"):
            seen = {json.dumps(_comparable(item), sort_keys=True) for item in instance}
            if len(seen) < len(instance):
                yield self._invalid("two items are equal")

    def multiple_of(self, validator: Any, wanted: float, instance: Any, schema: object) -> Iterator[Exception]:  # noqa: ANN401
        """A number is a multiple of another one, both as they are written: 0.3 of 0.1."""
        if not validator.is_type(instance, "number"):
            return
        finite = not isinstance(instance, float) or math.isfinite(instance)
        if not finite or (Fraction(repr(instance)) / Fraction(repr(wanted))).denominator != 1:
            yield self._invalid("it is no multiple")

    def _matches(self, expression: str, text: str) -> bool:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return self._patterns.compile(expression).search(text, timeout=left) is not None


def _comparable(value: object) -> object:
    """Return `value` with whole floats as integers: 1.0 and 1 are one number in JSON, true is none."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if isinstance(value, dict):
        return {name: _comparable(item) for name, item in value.items()}
    return value
