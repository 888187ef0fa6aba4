"""Queries from one SQL dialect into another, by sqlglot."""

import logging
from typing import Any

from dataset_build.src.errors import MissingDependencyError
from dataset_build.src.experts.base import CannotAnswerError, ToolExpert
from dataset_build.src.experts.tools.sql_requests import read_request
from dataset_build.src.records import Price

#: Deeper brackets are refused: the parser recurses.
_MAX_DEPTH = 40


class SqlTranslator(ToolExpert):
    """Parses the query in its dialect and writes it in the other."""

    tool_name = "sql_translator"
    tool_description = "Translates a query from one SQL dialect into another by parsing it (sqlglot); slow, thorough."

    def __init__(self, name: str | None = None, *, price: Price | None = None, description: str | None = None) -> None:
        super().__init__(name, price=price, description=description)
        self._sqlglot: Any = None
        self._error: type[Exception] = Exception

    def warm_up(self) -> None:
        """Import sqlglot and the commonest dialects."""
        try:
            import sqlglot
            from sqlglot.errors import SqlglotError
        except ImportError as error:
            raise MissingDependencyError('Install the tools: pip install "moe-toolkit[tools]"') from error
        logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
        self._sqlglot, self._error = sqlglot, SqlglotError
        for dialect in ("mysql", "postgres", "tsql", "sqlite", "oracle", "bigquery", "snowflake", "duckdb", "spark"):
            sqlglot.transpile("SELECT a FROM t", read=dialect, write=dialect)

    def solve(self, text: str) -> str:
        """Return the query in the target dialect, on one line.

        Raises:
            CannotAnswerError: no query or no dialect in it, or the query does not parse.
        """
        request = read_request(text)
        if request is None:
            raise CannotAnswerError("no query with a target dialect in it")
        if request.query.count("(") > _MAX_DEPTH:
            raise CannotAnswerError("the query is too deeply nested")
        if self._sqlglot is None:
            self.warm_up()
        try:
            written = self._sqlglot.transpile(request.query, read=request.source, write=request.target)
        except (self._error, RecursionError) as error:
            raise CannotAnswerError(f"the query does not parse as {request.source or 'SQL'}") from error
        return ";\n".join(written)
