"""The budget and the journal, kept in step: what may be spent is written down before it is."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from dataset_build.src.budget import Budget
from dataset_build.src.errors import ToolkitError
from dataset_build.src.response_store import ResponseStore


@contextmanager
def accounted(budget: Budget, store: ResponseStore) -> Iterator[None]:
    """Have the journal know, at every moment, the most that the build has spent; without a cap there is no need.

    Args:
        budget: What money is set aside from.
        store: The journal.
    """
    if budget.cap_usd is None:
        yield
        return
    budget.have_written_down(store.expect_spent)
    try:
        yield
    finally:
        with suppress(ToolkitError):  # what was written down before holds then, and why the work ended says more
            store.close_account(budget.spent_usd + budget.reserved_usd)
