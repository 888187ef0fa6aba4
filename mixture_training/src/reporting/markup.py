"""Text made harmless, and HTML and SVG written out: names of any content stay text, numbers become short."""

import html
import re

#: Characters that command a terminal, that no page may hold, or that turn the direction of the text after them.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufffe\uffff]")


def printable(text: str) -> str:
    """Return `text` with what no page or terminal may show, and what turns the direction of writing, replaced."""
    return _FORBIDDEN.sub("�", text)


def one_line(text: str) -> str:
    """Return `text` printable and without line ends."""
    return " ".join(printable(text).split())


def escaped(text: str) -> str:
    """Return `text` as it may stand between tags and in attributes."""
    return html.escape(printable(text))


def tag(name: str, *content: str, **attributes: str | float | None) -> str:
    """Return an element; the content is markup, the attributes are text.

    A trailing underscore of an attribute's name falls away and others become dashes (`class_`, `text_anchor`); None
    leaves the attribute out. Numbers are rounded to a tenth, a length nobody sees.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{written}>{''.join(content)}</{name}>"


def path(points: list[tuple[float, float]]) -> str:
    """Return the `d` of a path through the points."""
    return "M" + "L".join(f"{_short(x)} {_short(y)}" for x, y in points)


def _value(value: str | float) -> str:
    return escaped(value) if isinstance(value, str) else _short(value)


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
