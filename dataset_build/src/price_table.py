"""What models cost where no price is stated: the user's own table first, then the one of the package `genai-prices`.

The package carries its prices with it, as old as its release; nothing is fetched. It is an extra,
`pip install "moe-toolkit[prices]"`; without it only the user's table is used::

    prices:
      gpt-4o-mini: {prompt_per_million: 0.15, completion_per_million: 0.60, cached_per_million: 0.075}
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from dataset_build.src.errors import MissingDependencyError
from dataset_build.src.records import Price


def look_up(model: str, url: str | None = None, overrides: Mapping[str, Price] | None = None) -> Price | None:
    """Return the price of a model, or None where neither table has it.

    The same model costs differently from one provider to the next, so the address decides whose price it is: an
    address that the table does not know (a server of one's own, a gateway) has none. Where a price changes with the
    time of day it is the dearest of the day; where it changes with the length of the prompt, that of a short one.

    Args:
        model: What the endpoint calls it; without an address it may begin with the provider, as for LiteLLM.
        url: The endpoint's address.
        overrides: Model → price; `model` as it is, or without what stands before its last slash.

    Raises:
        MissingDependencyError: the user's table does not have it, and the package is not installed.
    """
    for name in (model, model.rpartition("/")[2]):
        if overrides and name in overrides:
            return overrides[name]
    try:
        from genai_prices.data_snapshot import get_snapshot
    except ImportError as missing:
        raise MissingDependencyError(
            f"The price of {model!r} is to be looked up, which needs the table of a package: "
            'pip install "moe-toolkit[prices]"; or state the price.'
        ) from missing
    try:
        _, found = get_snapshot().find_provider_model(model, None, None if url else _provider(model), url)
    except LookupError:
        return None
    return _dearest_of_the_day(found)


def _provider(model: str) -> str | None:
    """Return whom to ask about a model without an address; the package splits names of this kind itself."""
    return "litellm" if "/" in model else None


def _dearest_of_the_day(model: Any) -> Price | None:  # noqa: ANN401 - the package's own class
    now = datetime.now(UTC)
    prices = [_price(model.get_prices(now + timedelta(hours=hour))) for hour in range(24)]
    known = [price for price in prices if price is not None]
    return max(known, key=lambda price: price.prompt_per_million + price.completion_per_million, default=None)


def _price(listed: Any) -> Price | None:  # noqa: ANN401
    prompt, completion = _usd(listed.input_mtok), _usd(listed.output_mtok)
    thought, cached, calls = _usd(listed.output_reasoning_mtok), _usd(listed.cache_read_mtok), listed.requests_kcount
    if prompt is None and completion is None:
        return None
    price = Price(
        prompt_per_million=prompt or 0.0,
        completion_per_million=max(completion or 0.0, thought or 0.0),
        per_call=(_usd(calls) or 0.0) / 1000,
        cached_per_million=cached,
    )
    # Some providers list a model that stands for others with a price below zero.
    return price if min(price.prompt_per_million, price.completion_per_million, cached or 0.0) >= 0 else None


def _usd(amount: Any) -> float | None:  # noqa: ANN401
    """Return an amount of the table, of which some are stepped by the length of the prompt."""
    return None if amount is None else float(getattr(amount, "base", amount))
