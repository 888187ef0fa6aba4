"""Queries from one SQL dialect into another by textual rewrites: fast, and right only for simple differences."""

import re

from dataset_build.src.experts.base import CannotAnswerError, ToolExpert
from dataset_build.src.experts.tools.sql_requests import read_request

_QUOTED = re.compile(r"`(\w+)`|\[(\w+)\]|\"(\w+)\"")
_QUOTES = {"mysql": "``", "bigquery": "``", "spark": "``", "tsql": "[]"}
_LIMIT = re.compile(r"^SELECT\s+(.*?)\s+LIMIT\s+(\d+)\s*$", re.IGNORECASE | re.DOTALL)
_TOP = re.compile(r"^SELECT\s+TOP\s+(\d+)\s+(.*)$", re.IGNORECASE | re.DOTALL)
_NULL_DEFAULT = re.compile(r"\b(?:IFNULL|NVL|ISNULL)\(", re.IGNORECASE)
_NOW = re.compile(r"\b(?:NOW|GETDATE)\(\)", re.IGNORECASE)
_CAST = re.compile(r"\b(\w+)::(\w+)")


class SqlRegex(ToolExpert):
    """Rewrites quotes, LIMIT and TOP, LEN, defaults for NULL, casts and the present time, without parsing."""

    tool_name = "sql_regex"
    tool_description = "Rewrites simple SQL dialect differences (LIMIT/TOP, quotes, IFNULL) as text; fast and rough."

    def solve(self, text: str) -> str:
        """Return the rewritten query.

        Raises:
            CannotAnswerError: no query or no dialect in it.
        """
        request = read_request(text)
        if request is None:
            raise CannotAnswerError("no query with a target dialect in it")
        query, target = " ".join(request.query.split()), request.target
        quotes = _QUOTES.get(target, '""')
        opening, closing = quotes[0], quotes[1]
        query = _QUOTED.sub(lambda name: f"{opening}{name.group(1) or name.group(2) or name.group(3)}{closing}", query)
        query = _NULL_DEFAULT.sub("COALESCE(", query)
        query = _CAST.sub(r"CAST(\1 AS \2)", query)
        if target == "tsql":
            query = _LIMIT.sub(r"SELECT TOP \2 \1", query).replace("LENGTH(", "LEN(").replace("||", "+")
            return _NOW.sub("GETDATE()", query)
        query = _TOP.sub(r"SELECT \2 LIMIT \1", query).replace("LEN(", "LENGTH(")
        return _NOW.sub("NOW()" if target == "mysql" else "CURRENT_TIMESTAMP", query)
