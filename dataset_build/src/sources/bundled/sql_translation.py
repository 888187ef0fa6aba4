"""Queries to be moved from one SQL dialect to another; each pair is a hand-written source and target form."""

import random

from dataset_build.src.sources.bundled.kinds import Draw, Kind, Task

_SHOWN = {
    "mysql": ("MySQL", "mysql"),
    "postgres": ("PostgreSQL", "Postgres", "postgres"),
    "tsql": ("SQL Server", "T-SQL"),
    "sqlite": ("SQLite", "sqlite"),
    "oracle": ("Oracle",),
    "bigquery": ("BigQuery",),
    "snowflake": ("Snowflake",),
    "duckdb": ("DuckDB",),
    "spark": ("Spark SQL",),
}
#: Source dialects, target dialects, source form, target form. The columns are {a}, {b}, {c}; the table {t}.
PAIRS: tuple[tuple[str, str, str, str], ...] = (
    ("mysql postgres sqlite", "tsql", "SELECT {a} FROM {t} LIMIT {n}", "SELECT TOP {n} {a} FROM {t}"),
    ("mysql duckdb", "tsql", "SELECT {a}, {b} FROM {t} ORDER BY {b} DESC LIMIT {n}",
     "SELECT TOP {n} {a}, {b} FROM {t} ORDER BY {b} DESC"),
    ("tsql", "postgres mysql sqlite snowflake", "SELECT TOP {n} {a} FROM {t}", "SELECT {a} FROM {t} LIMIT {n}"),
    ("tsql", "mysql sqlite", "SELECT TOP {n} {a}, {b} FROM {t} WHERE {b} > {v}",
     "SELECT {a}, {b} FROM {t} WHERE {b} > {v} LIMIT {n}"),
    ("mysql", "oracle", "SELECT {a} FROM {t} LIMIT {n}", "SELECT {a} FROM {t} FETCH FIRST {n} ROWS ONLY"),
    ("mysql", "postgres sqlite snowflake duckdb", "SELECT `{a}` FROM `{t}`", 'SELECT "{a}" FROM "{t}"'),
    ("mysql", "tsql", "SELECT `{a}`, `{b}` FROM `{t}` WHERE `{b}` = {v}",
     "SELECT [{a}], [{b}] FROM [{t}] WHERE [{b}] = {v}"),
    ("tsql", "mysql bigquery spark", "SELECT [{a}] FROM [{t}] WHERE [{b}] < {v}",
     "SELECT `{a}` FROM `{t}` WHERE `{b}` < {v}"),
    ("postgres", "mysql bigquery spark", 'SELECT "{a}", "{b}" FROM "{t}"', "SELECT `{a}`, `{b}` FROM `{t}`"),
    ("tsql", "postgres sqlite", "SELECT [{a}], [{b}] FROM [{t}]", 'SELECT "{a}", "{b}" FROM "{t}"'),
    ("mysql", "postgres", "SELECT IFNULL({a}, {v}) FROM {t}", "SELECT COALESCE({a}, {v}) FROM {t}"),
    ("tsql", "postgres snowflake", "SELECT ISNULL({a}, {v}) AS {c} FROM {t}",
     "SELECT COALESCE({a}, {v}) AS {c} FROM {t}"),
    ("oracle", "postgres bigquery", "SELECT NVL({a}, {v}) FROM {t}", "SELECT COALESCE({a}, {v}) FROM {t}"),
    ("postgres", "mysql bigquery", "SELECT {a}::DATE FROM {t}", "SELECT CAST({a} AS DATE) FROM {t}"),
    ("mysql", "sqlite", "SELECT NOW(), {a} FROM {t}", "SELECT CURRENT_TIMESTAMP, {a} FROM {t}"),
    ("tsql", "postgres", "SELECT {a} FROM {t} WHERE {b} < GETDATE()",
     "SELECT {a} FROM {t} WHERE {b} < CURRENT_TIMESTAMP"),
    ("postgres", "tsql", "SELECT {a} || {b} FROM {t}", "SELECT {a} + {b} FROM {t}"),
    ("tsql", "postgres sqlite", "SELECT LEN({a}) FROM {t} WHERE {b} = {v}",
     "SELECT LENGTH({a}) FROM {t} WHERE {b} = {v}"),
    ("postgres", "tsql", "SELECT LENGTH({a}) FROM {t}", "SELECT LEN({a}) FROM {t}"),
    ("mysql", "postgres", "SELECT GROUP_CONCAT({a} SEPARATOR ',') FROM {t}", "SELECT STRING_AGG({a}, ',') FROM {t}"),
    ("postgres", "sqlite", "SELECT {a} FROM {t} WHERE {b} ILIKE '%{w}%'",
     "SELECT {a} FROM {t} WHERE LOWER({b}) LIKE LOWER('%{w}%')"),
    ("mysql", "postgres", "SELECT IF({a} > {v}, 1, 0) FROM {t}",
     "SELECT CASE WHEN {a} > {v} THEN 1 ELSE 0 END FROM {t}"),
)  # fmt: skip
TABLES = (
    "orders",
    "customers",
    "invoices",
    "employees",
    "products",
    "visits",
    "shipments",
    "tickets",
    "books",
    "sensors",
)
COLUMNS = (
    "name",
    "price",
    "city",
    "total",
    "score",
    "email",
    "weight",
    "status",
    "country",
    "amount",
    "colour",
    "phone",
)
WORDS = ("north", "blue", "may", "2024", "lease", "vip", "draft")


def _draw(rng: random.Random) -> Draw:
    sources, targets, written, wanted = rng.choice(PAIRS)
    source, target = rng.choice(sources.split()), rng.choice(targets.split())
    a, b, c = rng.sample(COLUMNS, 3)
    values = {"a": a, "b": b, "c": c, "t": rng.choice(TABLES), "w": rng.choice(WORDS)}
    values |= {"n": str(rng.randrange(2, 90)), "v": str(rng.randrange(1, 2100))}
    query = written.format(**values)
    slots = {
        "query": rng.choice(("{}", "{};", "`{}`", "\n```sql\n{}\n```\n")).format(query) if "`" not in query else query,
        "source": rng.choice(_SHOWN[source]),
        "target": rng.choice(_SHOWN[target]),
    }
    return Draw(slots, wanted.format(**values))


KIND = Kind(
    category="sql_translation",
    metric="code_text",
    tasks=(
        Task(
            "rewrite",
            (
                "Translate this {source} query to {target}: {query}",
                "{source} to {target}: {query}",
                "We are migrating from {source} to {target}. Rewrite the statement below.\n{query}",
                "How do I say this in {target}? It was written for {source}. {query}",
                "{query}\n\nThat runs on {source}. Make it run on {target} please.",
                "port to {target} (from {source}) {query}",
                "My colleague only knows {source} and sent me this: {query} What would it be for {target}?",
                "convert sql dialect\nfrom: {source}\nto: {target}\n{query}",
                "Our {target} server throws a syntax error because this was meant for {source}. Fix it.\n{query}",
                "I have a {source} statement. {query} I want its {target} twin, same meaning.",
                "Could you kindly adapt the following for {target}? At the moment it is {source}.\n\n{query}",
                "Give me the {target} equivalent of the {source} query {query}",
                "input dialect {source}, output dialect {target}: {query}",
                (
                    "Dump of our old {source} report:\n{query}\nThe new warehouse speaks {target}. Same report, new "
                    "syntax, one line."
                ),
                "what is {query} in {target}? (currently {source})",
                "Transpile.\n{source} => {target}\n{query}",
                "Stuck on an upgrade! {source} was happy with {query} but {target} isn't. Correct version?",
                "Say I replaced {source} by {target}. How must I change {query}",
                "The textbook uses {source}, my laptop has {target}. Adjust the example: {query}",
                "Same result set, but for {target} instead of {source}:\n{query}",
                "rewrite for {target}, was {source}\n{query}",
                "Nobody in the team remembers {source} any more. Turn its last surviving line into {target}: {query}",
                "Taking {source} as the starting point and {target} as the goal, transform {query}",
                "Dear DBA bot, from {source} into {target} if you would: {query}",
                "This comes from a {source} stored view:\n{query}\nI'm recreating the view under {target}.",
                "Replace whatever is specific to {source} with what {target} understands. {query}",
                "{target} version of this {source} code? {query}",
                (
                    "Suppose a {source} developer wrote {query} and a {target} developer has to copy it. What does "
                    "the latter type?"
                ),
                "I copied {query} from a {source} forum. My database is {target}, it won't parse. Help",
                "query: {query}\nspoken by: {source}\nlistener: {target}\nanswer with what the listener understands",
                "On 1 April 2025 we switch off {source}. Until then this has to work with {target}: {query}",
                "{source} users write {query}; {target} users write",
                "Keep the semantics, change the syntax. {source} in, {target} out. {query}",
                "Moving day: goodbye {source}, hello {target}! One more thing to pack: {query}",
                "Express for {target} what this expresses under {source}: {query}",
                "Is this valid {target}? I think it's {source} only: {query} Send me something {target} accepts.",
            ),
            _draw,
        ),
    ),
)
