"""How a build fills in abilities, as a configuration states it."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class AbilitiesConfig(BaseModel):
    """How instructions get their abilities: the tagger, and its own options (every further key). A text is the tagger.

    Attributes:
        by: The tagger.
        compare_with_given: Whether instructions that come with abilities are tagged all the same, only to report how
            well the tagger agrees with them.
    """

    model_config = ConfigDict(extra="allow")

    by: str
    compare_with_given: bool = False

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:  # noqa: ANN401 - whatever the file holds
        return {"by": value} if isinstance(value, str) else value

    def options(self) -> dict[str, Any]:
        """Return the keys that go to the tagger's constructor."""
        return dict(self.model_extra or {})
