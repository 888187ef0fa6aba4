"""The option that shares most words and topics with the message. Rough, and done in microseconds."""

from dataset_build.src.experts.base import CannotAnswerError, ToolExpert
from dataset_build.src.experts.tools.choice_requests import read_request
from dataset_build.src.experts.tools.payload import words

_LIST = """
    a an and are as at be but by can do for from get had has have how i if in is it my me no not of on or our so
    that the their them they this to up was we what when where which who why with you your want wants to out
    find back
"""
_COMMON = frozenset(_LIST.split())


#: Words of customer service that stand for each other, by topic.
_TOPICS = tuple(
    frozenset(word[:4] for word in group.split())
    for group in (
        "luggage baggage suitcase bag rucksack trunk",
        "parcel package delivery deliver courier shipping ship tracking arrive order",
        "refund reimburse reimbursed money cancelled return returns owed",
        "bill billing invoice payment payments pay paying paid charge charged price fee",
        "password login account sign locked online website access",
        "loan loans mortgage borrow finance credit interest",
        "transfer transfers abroad wire send international overseas foreign",
        "repair repaired repairs broken broke fix fault faults warranty guarantee defect dead",
        "heating warm cold boiler radiator radiators",
        "plumber water pipe leak drip dripping drain toilet tap",
        "locksmith key keys lock door",
        "noise noisy loud music party neighbour neighbours barks",
        "rent lease tenancy landlord deposit",
        "cancel terminate quit end switch change contract contracts subscription",
        "flight fly plane rebooking ticket travel date",
        "technician install installation installations appointment connection",
        "roaming holiday border country airport",
        "points miles bonus frequent",
        "wheelchair disabled deaf blind needs assistance",
        "lost stolen missing theft gone",
    )
)


def _stems(text: str) -> set[str]:
    stems = {word[:4] for word in (word.lower() for word in words(text)) if word not in _COMMON}
    return stems.union(f"topic {at}" for at, topic in enumerate(_TOPICS) if not topic.isdisjoint(stems))


class KeywordRouter(ToolExpert):
    """Compares the first four letters of words, and topics named by words of the trade.

    Of options that share as many the first is taken.
    """

    tool_name = "keyword_router"
    tool_description = "Picks the lettered option that shares most words with a message; fast and rough."

    def solve(self, text: str) -> str:
        """Return the letter of the option.

        Raises:
            CannotAnswerError: there are no options, or none shares a word with the message.
        """
        request = read_request(text)
        message = _stems(request.message)
        shared = {letter: len(message & _stems(option)) for letter, option in request.options.items()}
        best = max(shared, key=lambda letter: shared[letter])
        if not shared[best]:
            raise CannotAnswerError("no option shares a word with it")
        return best
