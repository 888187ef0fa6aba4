"""An expert whose endpoint is asked for replies by JSON schema, and without where it cannot give them."""

import re

from dataset_build.src.errors import ExpertRefusedError
from dataset_build.src.experts.base import Expert
from dataset_build.src.records import Answer, CallEstimate, Instruction

_NOT_SUPPORTED = re.compile(r"response_format|json_schema|structured|schema|grammar|guided", re.IGNORECASE)


class StructuredExpert(Expert):
    """Two ways to ask one endpoint: by schema until it refuses that, plain from then on.

    Args:
        by_schema: Asks with `response_format`.
        plain: Asks without.
        refusing: The endpoints that refused a schema; this one is added when it does.
    """

    def __init__(self, by_schema: Expert, plain: Expert, refusing: set[str]) -> None:
        super().__init__(plain.name, price=plain.price, description=plain.description)
        self.model, self.timeout_s, self.limits = plain.model, plain.timeout_s, plain.limits
        self._by_schema = by_schema
        self._plain = plain
        self._refusing = refusing

    async def answer(self, instruction: Instruction) -> Answer:
        """Ask; a refusal of the schema costs one more request, once per endpoint."""
        if self.endpoint not in self._refusing:
            try:
                return await self._by_schema.answer(instruction)
            except ExpertRefusedError as problem:
                if problem.kind != "bad_request" or not _NOT_SUPPORTED.search(problem.message):
                    raise
                self._refusing.add(self.endpoint)
        return await self._plain.answer(instruction)

    @property
    def endpoint(self) -> str:
        """That of both."""
        return self._plain.endpoint

    def estimate(self, instruction: Instruction) -> CallEstimate:
        """Return what a call will use; the schema is in the text as well, and counted there."""
        return self._by_schema.estimate(instruction)

    def check(self) -> None:
        """Raise before a build where it plainly cannot answer."""
        self._plain.check()

    async def aclose(self) -> None:
        """Close both."""
        await self._by_schema.aclose()
        await self._plain.aclose()

    def fingerprint(self) -> str:
        """Return that of asking by schema, whether or not the endpoint obliges: the question is the same."""
        return self._by_schema.fingerprint()
