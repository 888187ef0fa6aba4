"""Which query a text holds, and from which SQL dialect into which it is to go."""

import re
from dataclasses import dataclass

#: Longer texts are not read.
MAX_LENGTH = 8000

#: Name as people write it -> dialect.
_DIALECTS = {
    "postgresql": "postgres", "postgres": "postgres", "psql": "postgres", "mysql": "mysql", "mariadb": "mysql",
    "sql server": "tsql", "t-sql": "tsql", "tsql": "tsql", "mssql": "tsql", "sqlite": "sqlite", "oracle": "oracle",
    "bigquery": "bigquery", "snowflake": "snowflake", "duckdb": "duckdb", "spark sql": "spark", "spark": "spark",
    "redshift": "redshift", "trino": "trino", "presto": "presto", "hive": "hive", "clickhouse": "clickhouse",
}  # fmt: skip
_NAME = "|".join(sorted(map(re.escape, _DIALECTS), key=len, reverse=True))
_MENTION = re.compile(rf"\b({_NAME})\b", re.IGNORECASE)
_ARTICLE = r"[\s:,]*(?:(?:an?|the|its|our|what|is)\s+)*"
_INTO = re.compile(
    r"(?:\b(?:to|into|in|for|onto|on|under|is|has|speaks|target|output(?: dialect)?|goal|hello)\b|[=-]>)"
    rf"{_ARTICLE}({_NAME})\b"
    rf"|\b({_NAME})(?:'s)?[ -]+(?:version|equivalent|form|syntax|understands|accepts|can read)\b",
    re.IGNORECASE,
)
_FROM = re.compile(
    r"\b(?:from|was|were|originally|currently|written for|meant for|made for|instead of|this|old|source|"
    rf"input(?: dialect)?|runs on|off|replac(?:ed|ing)|goodbye|it is|it's|comes from){_ARTICLE}({_NAME})\b"
    rf"|\b({_NAME})\b[ -]*(?:to\b|into\b|[=-]>|query|statement|code|only\b)",
    re.IGNORECASE,
)
_START = re.compile(r"\b(?:SELECT|WITH|INSERT\s+INTO|UPDATE|DELETE\s+FROM|CREATE\s+TABLE)\b")
_FENCE = re.compile(r"```(?:\w+)?\s*\n?(.*?)```", re.DOTALL)
#: Words of prose after a query written inline: a capital or a question begins a sentence that is not SQL.
_END = re.compile(
    r";|\n|```|\?"
    r"|(?<=[\w\])'\"`])\s+(?:[A-Z][a-z'’]+\b|I\b|in\b(?!\s*\()|but\b|and an?\b|isn't\b|with what\b"
    r"|from (?:an?|the|my)\b|\w+:(?!:))"
)


@dataclass(frozen=True, slots=True)
class SqlRequest:
    """A query and the dialects it is to go from and to; None where the text does not say."""

    query: str
    source: str | None
    target: str


def find_query(text: str) -> str | None:
    """Return the query in `text`: the content of a code fence, or from its first keyword to where prose goes on."""
    fence = _FENCE.search(text)
    start = _START.search(text, fence.start(1) if fence else 0)
    if start is None:
        return None
    if fence and start.start() < fence.end(1):
        return fence.group(1).strip().rstrip(";").strip() or None
    quoted = start.start() > 0 and text[start.start() - 1] == "`"
    end = re.search("`", text[start.start() :]) if quoted else _END.search(text, start.start())
    if end is None:
        query = text[start.start() :]
    else:
        query = text[start.start() : end.start() + (start.start() if quoted else 0)]
    return query.strip() or None


def read_request(text: str) -> SqlRequest | None:
    """Return the query and its dialects, or None when there is no query or no target."""
    if len(text) > MAX_LENGTH:
        return None
    query = find_query(text)
    if query is None:
        return None
    prose = text.replace(query, " ")
    mentions = list(dict.fromkeys(_DIALECTS[name.lower()] for name in _MENTION.findall(prose)))
    if not mentions:
        return None
    source = _first(_FROM, prose)
    target = _first(_INTO, prose, besides=source)
    others = [name for name in mentions if name != source]
    if target is None or target not in others:
        target = others[-1] if others else mentions[-1]
    if source is None or source == target:
        source = next((name for name in mentions if name != target), None)
    return SqlRequest(query, source, target)


def _first(pattern: re.Pattern[str], prose: str, besides: str | None = None) -> str | None:
    for match in pattern.finditer(prose):
        dialect = _DIALECTS[next(name for name in match.groups() if name).lower()]
        if dialect != besides:
            return dialect
    return None
