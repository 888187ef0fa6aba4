"""Numbers and money with English, German or French separators, by plain string formatting: fast and rough."""

from dataset_build.src.experts.base import CannotAnswerError, ToolExpert
from dataset_build.src.experts.tools.locale_requests import MAX_LENGTH, read_request

#: Language -> thousands separator, decimal separator, pattern for money, pattern for a percentage.
_STYLES = {
    "en": (",", ".", "{symbol}{number}", "{number}%"),
    "de": (".", ",", "{number} {symbol}", "{number} %"),
    "fr": ("\u202f", ",", "{number} {symbol}", "{number} %"),
}
_SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "INR": "₹"}


class NumberFormatter(ToolExpert):
    """Swaps separators for three languages; knows no other conventions of a country."""

    tool_name = "number_formatter"
    tool_description = "Puts English, German or French separators into a number or amount; fast and rough."

    def solve(self, text: str) -> str:
        """Return the number with separators, and its currency or percent sign.

        Raises:
            CannotAnswerError: no number, or a country of another language.
        """
        request = read_request(text) if len(text) <= MAX_LENGTH else None
        style = _STYLES.get(request.locale[:2]) if request else None
        if request is None or style is None:
            raise CannotAnswerError("no number for an English, German or French reader in it")
        group, decimal, money, percent = style
        plain = f"{request.number:,.{request.decimals}f}"
        number = "".join({",": group, ".": decimal}.get(character, character) for character in plain)
        if request.currency:
            return money.format(number=number, symbol=_SYMBOLS.get(request.currency, request.currency))
        return percent.format(number=number) if request.percent else number
