"""Spelling from a list of a few hundred words that people often get wrong. Rough, and done in microseconds.

Norvig, "How to write a spelling corrector" (2007), with one edit only and no probabilities.
"""

import re
from collections.abc import Iterator

from dataset_build.src.experts.base import CannotAnswerError, ToolExpert
from dataset_build.src.experts.tools.spelling_requests import read_request

_LIST = """
    about above accident account accept achieve across address advice after again against agree all almost
    already also although always amateur among amount animal another answer any apparent appear argument around
    arrive ask available away back bad bank beautiful because become been before begin beginning behind believe
    below best better between bicycle big book both bottom bread break breakfast brother brought build building
    business but buy calendar call can careful carry catch certain change character cheap chief child children
    chocolate city clean clear close coffee cold college colleague come committee common company complete
    computer condition control cost could country course cousin cut dangerous daughter dear decide decision deep
    definitely describe different difficult dinner disappear disappoint discuss doctor does door down dream
    drink during each early earth easy eat education eight either else embarrass empty end enough environment
    especially even evening ever every exactly example excellent except exercise existence expensive experience
    explain eye face family famous far fast father favourite feel few fiend field finally find finish first
    foreign forty forward four free friend from full garden general get give glass good government grammar great
    group grow guarantee guard guess guide half happen happy hard have head health hear heart heavy height help
    here high history holiday home hospital hour house how however hundred husband idea imagine immediately
    important improve include increase independent instead interest interesting into island journey just keep
    kind kitchen know knowledge language large last late laugh learn leave leisure less letter library licence
    life light like listen little live long look lose love machine main make many market marriage matter maybe
    mean measure medicine meet mention might minute modern money month more morning most mother mountain move
    much museum music must name national natural nature near necessary need neighbour neither never new news
    next nice niece night nothing notice noticeable number occasion occur occurrence of off offer office often
    old once one only open opinion opportunity opposite ordinary other our out over own page paper parallel
    parent part particular party pass past pay peace people perhaps period person personal phone piece place
    plan play please point police popular position possession possible potatoes power prefer preferred prepare
    present president pressure pretty price private probably problem process produce professional promise
    property public pull purpose push put quarter question quick quiet quite read ready really reason receive
    recent recipe recognize recommend reference regular relevant remember repeat reply report require restaurant
    result return rhythm right river road room run safe said same sandwich save say scene school science season
    second secretary see seem sell sentence separate serious service several shall she shoulder show similar
    simple since sincerely sister size sleep slow small some son soon sorry sound south speak special speech
    spend start station stay still stop story strange street strength strong student study succeed success
    successful such sudden sugar suggest summer suppose sure surprise table take talk teach tell temperature
    than thank that their them then there these they thing think this those though thought thousand through time
    tired together tomorrow tongue too top touch toward town traffic travel tree trouble true truly try turn
    under understand unfortunately unique until use usual usually vegetable vehicle very village visit voice
    wait walk want watch water way weather week weird welcome well what when where whether which while white who
    whole why will wind window winter wish with without woman wonder wonderful word work world worth would write
    wrong year yes yesterday yet young
"""
_WORDS = frozenset(_LIST.split())
_WORD = re.compile(r"(?<![\w'’])[A-Za-z]{5,24}(?![\w'’])")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"


def _one_edit(word: str) -> Iterator[str]:
    for at in range(len(word) + 1):
        head, tail = word[:at], word[at:]
        if tail:
            yield head + tail[1:]
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]
        for letter in _ALPHABET:
            yield head + letter + tail
            if tail:
                yield head + letter + tail[1:]


class EditDistanceSpeller(ToolExpert):
    """Returns the listed word one edit away from a word of the request; what is not listed it cannot know."""

    tool_name = "edit_distance_speller"
    tool_description = "Corrects a misspelt everyday English word by one edit, from a list of 500; fast and rough."

    def solve(self, text: str) -> str:
        """Return the corrected word or text, the wrong word, or the right one of two.

        Raises:
            CannotAnswerError: spelling is not what it is about, or no listed word is near.
        """
        request = read_request(text)
        for part in request.texts:
            for match in _WORD.finditer(part):
                word = match.group().lower()
                if request.task == "choose" and word in _WORDS:
                    return word
                if word in _WORDS:
                    continue
                found = next((near for near in _one_edit(word) if len(near) > 4 and near in _WORDS), None)
                if found and request.task == "find":
                    return match.group()
                if found and request.task == "correct word":
                    return found
                if found and request.task == "correct":
                    return part[: match.start()] + found + part[match.end() :]
        raise CannotAnswerError("no word of my short list is near")
