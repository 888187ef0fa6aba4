"""Numbers, money, percentages and dates in the manner of a locale, by Babel and the CLDR."""

from typing import Any

from dataset_build.src.errors import MissingDependencyError
from dataset_build.src.experts.base import CannotAnswerError, ToolExpert
from dataset_build.src.experts.tools.dateutil_dates import DateutilDates
from dataset_build.src.experts.tools.locale_requests import MAX_LENGTH, find_locale, read_request
from dataset_build.src.records import Price


class BabelLocale(ToolExpert):
    """Formats the number, amount, percentage or date of a text for the locale it names."""

    tool_name = "babel_locale"
    tool_description = "Writes a number, amount of money, percentage or date the way of a country (Babel)."

    def __init__(self, name: str | None = None, *, price: Price | None = None, description: str | None = None) -> None:
        super().__init__(name, price=price, description=description)
        self._numbers: Any = None
        self._day_format: Any = None
        self._unknown_locale: type[Exception] = Exception
        self._dates = DateutilDates()

    def warm_up(self) -> None:
        """Import Babel and load one locale."""
        try:
            from babel import UnknownLocaleError, dates, numbers
        except ImportError as error:
            raise MissingDependencyError('Install the tools: pip install "moe-toolkit[tools]"') from error
        self._numbers, self._day_format, self._unknown_locale = numbers, dates.format_date, UnknownLocaleError
        self._dates.warm_up()
        for locale in ("de_DE", "fr_FR", "en_US", "en_GB", "es_ES", "it_IT"):
            numbers.format_decimal(1, locale=locale)

    def solve(self, text: str) -> str:
        """Return the number, amount, percentage or date as the locale writes it.

        Raises:
            CannotAnswerError: no country, or nothing to format.
        """
        locale = find_locale(text) if len(text) <= MAX_LENGTH else None
        if locale is None:
            raise CannotAnswerError("no country or locale in it")
        if self._numbers is None:
            self.warm_up()
        try:
            return self._format(text, locale)
        except self._unknown_locale as error:
            raise CannotAnswerError(f"the locale {locale} is unknown") from error

    def _format(self, text: str, locale: str) -> str:
        days = self._dates.find(text)
        if days:
            return str(self._day_format(days[0].day, "long", locale=locale))
        request = read_request(text)
        if request is None:
            raise CannotAnswerError("nothing to format in it")
        if request.currency:
            return str(self._numbers.format_currency(request.number, request.currency, locale=locale))
        if request.percent:
            parsed = self._numbers.parse_pattern(self._numbers.Locale.parse(locale).percent_formats[None].pattern)
            parsed.frac_prec = (request.decimals, request.decimals)
            return str(parsed.apply(request.number / 100, locale))
        return str(self._numbers.format_decimal(request.number, locale=locale, decimal_quantization=False))
