"""Which number a text wants rewritten, and in the manner of which country."""

import re
from dataclasses import dataclass
from decimal import Decimal

#: Longer texts are not read.
MAX_LENGTH = 2000

_LOCALES = {
    "en_US": ("american", "united states", "usa"),
    "en_GB": ("british", "united kingdom", "uk", "england", "english"),
    "de_DE": ("german", "germany", "deutsch"),
    "de_AT": ("austrian", "austria"),
    "de_CH": ("swiss", "switzerland"),
    "fr_FR": ("french", "france"),
    "es_ES": ("spanish", "spain"),
    "it_IT": ("italian", "italy"),
    "pt_BR": ("brazilian", "brazil"),
    "pt_PT": ("portuguese", "portugal"),
    "nl_NL": ("dutch", "netherlands"),
    "sv_SE": ("swedish", "sweden"),
    "nb_NO": ("norwegian", "norway"),
    "da_DK": ("danish", "denmark"),
    "fi_FI": ("finnish", "finland"),
    "pl_PL": ("polish", "poland"),
    "cs_CZ": ("czech", "czechia"),
    "tr_TR": ("turkish", "turkey"),
    "ru_RU": ("russian", "russia"),
    "en_IN": ("indian", "india"),
    "ja_JP": ("japanese", "japan"),
}
_NAMES = {name: code for code, names in _LOCALES.items() for name in names}
_PLACE = re.compile(rf"\b({'|'.join(sorted(_NAMES, key=len, reverse=True))})\b", re.IGNORECASE)
_CODE = re.compile(r"\b([a-z]{2})[_-]([A-Z]{2})\b")
_MONEY = {
    "EUR": "euros?|eur|€",
    "USD": "us dollars?|dollars?|usd",
    "GBP": "pounds?|gbp",
    "INR": "rupees?|inr",
    "BRL": "reais|real|brl",
    "SEK": "kronor|krona|sek",
    "PLN": "z[lł]oty[s]?|pln",
    "CHF": "francs?|chf",
    "JPY": "yen|jpy",
}
_NUMBER = r"(?<![\w.,])\d+(?:\.\d+)?(?![\w]|[.,]\d)"
_PLAIN = re.compile(_NUMBER)
_PERCENT = re.compile(rf"({_NUMBER})\s*(?:%|per ?cent\b)", re.IGNORECASE)
_AMOUNTS = {
    code: re.compile(rf"\b(?:{names})\s*({_NUMBER})|({_NUMBER})\s*(?:{names})\b", re.IGNORECASE)
    for code, names in _MONEY.items()
}


@dataclass(frozen=True, slots=True)
class LocaleRequest:
    """A number to be written in a locale; `currency` and `percent` say what it counts."""

    locale: str
    number: Decimal
    decimals: int
    currency: str | None = None
    percent: bool = False


def find_locale(text: str) -> str | None:
    """Return the locale named by code, country or adjective, such as "de_DE", or None."""
    code = _CODE.search(text)
    if code:
        return f"{code.group(1)}_{code.group(2)}"
    places = _PLACE.findall(text)
    return _NAMES[places[-1].lower()] if places else None


def read_request(text: str) -> LocaleRequest | None:
    """Return what is to be written how, or None when there is no locale or no number."""
    locale = find_locale(text)
    if locale is None:
        return None
    share = _PERCENT.search(text)
    if share:
        return LocaleRequest(locale, Decimal(share.group(1)), _decimals(share.group(1)), percent=True)
    for currency, pattern in _AMOUNTS.items():
        amount = pattern.search(text)
        if amount:
            written = amount.group(1) or amount.group(2)
            return LocaleRequest(locale, Decimal(written), _decimals(written), currency=currency)
    numbers = _PLAIN.findall(text)
    if not numbers:
        return None
    written = max(numbers, key=len)
    return LocaleRequest(locale, Decimal(written), _decimals(written)) if len(written) < 40 else None


def _decimals(written: str) -> int:
    return len(written.partition(".")[2])
