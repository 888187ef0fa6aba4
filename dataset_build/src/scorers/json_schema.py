r"""Is an answer JSON of the form that a JSON Schema asks for?

    schema {"type": "object", "required": ["name"]}
    answer '```json\n{"name": "Ada"}\n```'     1.0
    answer '{"title": "Ada"}'                  0.0

Validated by the package jsonschema; the draft is the one that `$schema` names, else 2020-12.
"""

import json
from collections.abc import Mapping
from typing import Any

from dataset_build.src.records import Instruction
from dataset_build.src.scorers.base import Scorer, UnscorableError, needed
from dataset_build.src.scorers.json_schema_keywords import BoundedKeywords
from dataset_build.src.scorers.json_text import NotJsonError, TooDeepError, extract_json

#: The extra field of an instruction that holds its schema, where the reference does not.
SCHEMA = "schema"
#: Schemas that are kept ready, and seconds the patterns of a schema may take for one answer.
_KEPT, _PATTERNS_S = 256, 1.0


class JsonSchema(Scorer):
    """1 when the JSON in the answer keeps to the schema, 0 when it does not or there is no JSON.

    The schema is the instruction's extra field `schema` (an object, or its text), else the reference. References to
    other documents are not fetched, `format` is not checked, and patterns give up in time.

    Args:
        whole: Whether nothing may stand around the JSON, not even a fence.

    Raises:
        MissingDependencyError: jsonschema or the package `regex` is not installed.
    """

    metric = "json_schema"
    needs_reference = False
    max_length = 1_000_000

    def __init__(self, *, whole: bool = False) -> None:
        self.whole = whole
        self._jsonschema = needed("jsonschema", metric=self.metric)
        self._referencing = needed("referencing.exceptions", metric=self.metric)
        self._no_documents = needed("referencing", metric=self.metric).Registry()
        self._keywords = BoundedKeywords()
        self._ready: dict[str, Any] = {}

    def compare(self, text: str, reference: str, instruction: Instruction) -> float:
        """Return 1.0 or 0.0."""
        given = instruction.extra.get(SCHEMA)
        validator = self._validator(reference if given is None else given)
        try:
            value = extract_json(text, whole=self.whole, kind=_kind_of(validator.schema))
        except NotJsonError:
            return 0.0
        except TooDeepError as problem:
            raise UnscorableError(str(problem)) from None
        self._keywords.restart(_PATTERNS_S)
        try:
            return float(validator.is_valid(value))
        except TimeoutError:
            raise UnscorableError(f"the patterns of the schema took more than {_PATTERNS_S:g} s") from None
        except RecursionError:
            raise UnscorableError("the schema or the answer is nested too deeply") from None
        except (ArithmeticError, LookupError, TypeError, ValueError, self._referencing.Unresolvable) as problem:
            raise UnscorableError(f"the schema cannot be applied: {str(problem)[:200]}") from None

    def _validator(self, given: object) -> Any:  # noqa: ANN401 - a class that jsonschema makes
        key = given if isinstance(given, str) else json.dumps(given, sort_keys=True, default=str)
        if key in self._ready:
            return self._ready[key]
        schema = given
        if isinstance(given, str):
            try:
                schema = json.loads(given)
            except (ValueError, RecursionError):
                schema = None
        if not isinstance(schema, Mapping | bool):
            raise UnscorableError("no schema: neither the field `schema` nor the reference is a JSON object")
        if "unevaluatedProperties" in key and "patternProperties" in key:
            raise UnscorableError("a schema with both unevaluatedProperties and patternProperties is not supported")
        draft = self._jsonschema.validators.validator_for(schema, default=self._jsonschema.Draft202012Validator)
        try:
            draft.check_schema(schema)
        except (self._jsonschema.SchemaError, RecursionError, ValueError) as problem:
            raise UnscorableError(f"the schema is none: {getattr(problem, 'message', problem)!s:.200}") from None
        if len(self._ready) >= _KEPT:
            self._ready.clear()
        bounded = self._jsonschema.validators.extend(draft, self._keywords.table())
        self._ready[key] = bounded(schema, registry=self._no_documents)
        return self._ready[key]


def _kind_of(schema: object) -> type | None:
    """Return what the JSON of an answer has to be by its schema, where that says so."""
    if not isinstance(schema, Mapping):
        return None
    kinds = {"object": dict, "array": list}
    stated = schema.get("type")
    if isinstance(stated, str):
        return kinds.get(stated)
    return dict if stated is None and ("properties" in schema or "required" in schema) else None
