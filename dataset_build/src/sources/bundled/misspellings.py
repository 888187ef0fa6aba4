"""English words as people misspell them: well-known slips, and slips made by rule."""

import random
import re

_KNOWN = """
    recieve:receive beleive:believe acheive:achieve wierd:weird freind:friend seperate:separate
    definately:definitely occured:occurred untill:until tommorrow:tomorrow adress:address begining:beginning
    buisness:business catagory:category collegue:colleague commitee:committee concious:conscious
    curiousity:curiosity dissapear:disappear embarass:embarrass enviroment:environment existance:existence
    familar:familiar finaly:finally foriegn:foreign foward:forward goverment:government grammer:grammar
    gaurd:guard happend:happened harrass:harass humourous:humorous immediatly:immediately
    independant:independent interupt:interrupt knowlege:knowledge liason:liaison libary:library
    maintenence:maintenance millenium:millennium mischievious:mischievous neccessary:necessary
    noticable:noticeable occassion:occasion paralel:parallel persistant:persistent posession:possession
    prefered:preferred privelege:privilege probaly:probably pronounciation:pronunciation publically:publicly
    questionaire:questionnaire realy:really recomend:recommend refered:referred relevent:relevant
    religous:religious remeber:remember rythm:rhythm sieze:seize similiar:similar sincerly:sincerely
    speach:speech succesful:successful suprise:surprise tendancy:tendency truely:truly unforseen:unforeseen
    vaccuum:vacuum writting:writing yatch:yacht acommodate:accommodate aquire:acquire agressive:aggressive
    amature:amateur apparantly:apparently arguement:argument assasin:assassin athiest:atheist bizzare:bizarre
    cemetary:cemetery completly:completely congradulate:congratulate dilema:dilemma disapoint:disappoint
    ecstacy:ecstasy facinating:fascinating firey:fiery flourescent:fluorescent garantee:guarantee hygene:hygiene
    hipocrite:hypocrite idiosyncracy:idiosyncrasy intelligance:intelligence labratory:laboratory
    ocasionally:occasionally perseverence:perseverance potatos:potatoes preceed:precede presance:presence
    profesional:professional prominant:prominent resturant:restaurant shedule:schedule sissors:scissors
    sofware:software substancial:substantial thier:their threshhold:threshold tounge:tongue
    transfered:transferred twelth:twelfth tyrany:tyranny unfortunatly:unfortunately vetinarian:veterinarian
    villian:villain welcom:welcome zeebra:zebra
"""
_WORDS = """
    absence absolutely abundance academic accessible accidentally accompany accomplish accordance accountant
    accurate achievement acknowledge acquaintance adequate admission adolescent advantage advertisement
    agreement although altogether ambulance amendment ancestor anniversary announce anonymous anticipate anxiety
    apartment apparatus apparent appearance appetite appreciate approach appropriate approximately architecture
    arrangement assistance association atmosphere attendance attitude attorney audience authority available
    average awkward bachelor balloon banquet bargain basically beautiful because becoming beneath benefit
    bicycle biscuit boundary breakfast breathe brilliant broccoli budget building bulletin bureaucracy campaign
    candidate carriage celebrate certificate challenge changeable character chocolate circuit citizen collection
    column comfortable commercial commission commitment communicate community comparison competition complexion
    concede condemn conference confidence conscience consensus consequence considerable consistent continuous
    controversy convenience cooperate correspondence corridor courageous courteous criticism curriculum daughter
    deceive decision delicious democracy dependable description desperate development dictionary difference
    difficult disastrous discipline discussion disease dissatisfied efficient eighteen electricity eligible
    emergency emphasis employee encourage enormous enterprise entertain enthusiasm equipment equivalent
    especially essential eventually exaggerate excellent exception excitement exercise exhausted expensive
    experience experiment explanation extraordinary extremely fictional financial fortunately fountain frequent
    fundamental furniture gallery generally generous genuine gradually grateful handkerchief headache hesitate
    hierarchy holiday hospital hurricane hypocrisy identical identity ignorance illegal imaginary imagination
    immigrant important impossible improvement incidentally increase incredible indispensable industry
    inevitable influence ingredient initial innocent inoculate instrument insurance interesting interpret
    introduce investigate invisible invitation irrelevant irresistible island jealous journey kindergarten
    kitchen language leisure lieutenant literature loneliness luggage luxury machinery magazine magnificent
    manageable marriage mathematics mattress measurement medicine medieval memorable merchant millionaire
    miniature misspell mortgage mosquito mountain muscle museum mysterious narrative national naturally
    negotiate nephew nickname nuisance obedience obstacle occurrence official operation opinion opponent
    opportunity opposite optimistic orchestra ordinary original outrageous overwhelming pamphlet parliament
    particular passenger pastime peculiar penetrate perceive performance permanent permission personnel persuade
    philosophy photograph physical physician pneumonia politician population portrait possible poultry practical
    preference prejudice preparation prescription previous primitive principle procedure proceed profession
    professor property psychology punctual purchase pursue quantity quarantine quarrel realistic rectangle
    reference refrigerator regardless rehearsal repetition representative republic reservoir resistance
    responsible ridiculous sacrifice salary sandwich satellite satisfied scenery secretary several severely
    shoulder significant solemn souvenir sovereign specific specimen spontaneous statistics stomach strategy
    strength stubborn substance subtle succeed sufficient suggestion superintendent surround surveillance
    susceptible suspicious syllable symptom technique technology temperature temporary therefore together
    tomatoes tournament tradition tragedy treasure typical unanimous undoubtedly unique university unnecessary
    unusual valuable variety vegetable vehicle vengeance versatile village violence visible volunteer voyage
    warrior whistle withdrawal witness wonderful worship yesterday
"""
#: How people are known to misspell a word, and the word.
KNOWN = tuple((wrong, right) for wrong, _, right in (pair.partition(":") for pair in _KNOWN.split()))
#: Words whose slips, by the rules below, are no words themselves; spelt alike in Britain and America.
WORDS = tuple(_WORDS.split())
_VOWELS = "aeiou"
_ENDINGS = {"ance": "ence", "ence": "ance", "able": "ible", "ible": "able", "ant": "ent", "ent": "ant", "eau": "eu",
            "phy": "fy", "sc": "s"}  # fmt: skip
_TAKEN = frozenset(WORDS) | {right for _, right in KNOWN}


def _doubled(word: str) -> list[str]:
    return [
        word[:at] + word[at] + word[at:]
        for at in range(2, len(word) - 1)
        if word[at] in "lmnprstfc" and word[at - 1] in _VOWELS and word[at + 1] in _VOWELS
    ]


def _single(word: str) -> list[str]:
    return [word[: twice.start()] + word[twice.start() + 1 :] for twice in re.finditer(r"([^aeiou])\1", word)]


def _swapped(word: str) -> list[str]:
    return [
        word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        for at in range(2, len(word) - 2)
        if (word[at] in _VOWELS) != (word[at + 1] in _VOWELS)
    ]


def _ie(word: str) -> list[str]:
    return [word[: pair.start()] + pair.group()[::-1] + word[pair.end() :] for pair in re.finditer("ie|ei", word)]


def _missing(word: str) -> list[str]:
    return [word[:at] + word[at + 1 :] for at in range(2, len(word) - 2) if word[at] != word[at + 1]]


def _by_sound(word: str) -> list[str]:
    return [
        word[: part.start()] + _ENDINGS[part.group()] + word[part.end() :]
        for part in re.finditer("|".join(_ENDINGS), word)
        if part.start() > 1
    ]


_RULES = (_doubled, _single, _swapped, _ie, _missing, _by_sound)


def misspellings(word: str) -> list[list[str]]:
    """Return, for each rule that applies to `word`, the spellings it leads to; never another of the words."""
    made = ([slip for slip in rule(word) if slip not in _TAKEN] for rule in _RULES)
    return [slips for slips in made if slips]


def draw_misspelling(rng: random.Random) -> tuple[str, str]:
    """Return a misspelt word and the word; three in ten are slips that people are known for."""
    if rng.random() < 0.3:
        return rng.choice(KNOWN)
    word = rng.choice(WORDS)
    return rng.choice(rng.choice(misspellings(word))), word
