"""The base form of an inflected word in English, German, French, Spanish and Italian."""

import random

from dataset_build.src.sources.bundled.kinds import Draw, Kind, Task

#: Inflected form and base form. No form is the base form of another word too.
_FORMS = {
    "English": """
        went:go children:child mice:mouse geese:goose feet:foot teeth:tooth wolves:wolf knives:knife
        bought:buy caught:catch taught:teach brought:bring wrote:write spoke:speak froze:freeze
        drove:drive flew:fly grew:grow knew:know threw:throw swam:swim sang:sing began:begin drank:drink
        ate:eat gave:give took:take forgot:forget hid:hide slept:sleep kept:keep swept:sweep
        running:run walked:walk jumping:jump tables:table houses:house studies:study carried:carry happier:happy
        biggest:big easier:easy stopped:stop planning:plan hoping:hope making:make tried:try
        cities:city babies:baby boxes:box wishes:wish played:play helped:help
        painted:paint gardens:garden bottles:bottle windows:window asked:ask climbing:climb
        women:woman oxen:ox crises:crisis criteria:criterion phenomena:phenomenon thieves:thief shelves:shelf
        chose:choose rode:ride shook:shake stole:steal wore:wear woke:wake understood:understand sold:sell told:tell
        became:become came:come ran:run drew:draw wept:weep built:build sent:send lent:lend paid:pay said:say
        eaten:eat given:give taken:take spoken:speak chosen:choose frozen:freeze stolen:steal written:write
        ridden:ride driven:drive flown:fly grown:grow known:know thrown:throw forgotten:forget forgave:forgive
        worried:worry hurries:hurry swimming:swim planned:plan preferred:prefer admitted:admit dying:die tying:tie
        believes:believe arrived:arrive agrees:agree teaches:teach countries:country stories:story ladies:lady
        factories:factory foxes:fox churches:church tomatoes:tomato heroes:hero cacti:cactus nuclei:nucleus
        stimuli:stimulus hypotheses:hypothesis horses:horse bridges:bridge monkeys:monkey valleys:valley
        teachers:teacher funnier:funny prettiest:pretty heaviest:heavy hottest:hot thinner:thin largest:large
        stronger:strong youngest:young cheapest:cheap busiest:busy wives:wife loaves:loaf scarves:scarf men:man
        """,
    "German": """
        ging:gehen lief:laufen sprach:sprechen schrieb:schreiben trank:trinken sang:singen fuhr:fahren
        kam:kommen nahm:nehmen gab:geben sah:sehen aß:essen schwamm:schwimmen half:helfen vergaß:vergessen
        Häuser:Haus Bücher:Buch Kinder:Kind Männer:Mann Städte:Stadt Hände:Hand Bäume:Baum Mäuse:Maus Äpfel:Apfel
        spielte:spielen kaufte:kaufen machte:machen tanzte:tanzen arbeitet:arbeiten gelernt:lernen gefunden:finden
        Tische:Tisch Frauen:Frau Blumen:Blume Autos:Auto
        gegangen:gehen gekommen:kommen genommen:nehmen gesprochen:sprechen geholfen:helfen getrunken:trinken
        geschrieben:schreiben geblieben:bleiben gesehen:sehen geschlafen:schlafen gelaufen:laufen gebracht:bringen
        gewusst:wissen konnte:können musste:müssen verstand:verstehen begann:beginnen Züge:Zug Stühle:Stuhl
        Katzen:Katze Vögel:Vogel Brüder:Bruder Töchter:Tochter Dörfer:Dorf Wälder:Wald Schulen:Schule Länder:Land
        """,
    "French": """
        chevaux:cheval journaux:journal yeux:œil animaux:animal allait:aller mangeons:manger finissent:finir
        vendaient:vendre parlait:parler chantons:chanter venait:venir prenaient:prendre buvait:boire écrivait:écrire
        lisons:lire maisons:maison tables:table livres:livre gâteaux:gâteau genoux:genou cherchait:chercher
        donnaient:donner aimait:aimer dormait:dormir ouvrait:ouvrir voulaient:vouloir pouvait:pouvoir savaient:savoir
        """,
    "Spanish": """
        tuvieron:tener hicieron:hacer dijeron:decir pusieron:poner vinieron:venir supieron:saber anduvieron:andar
        comieron:comer hablaban:hablar cantaron:cantar vivimos:vivir escribieron:escribir bebieron:beber
        libros:libro mesas:mesa casas:casa ciudades:ciudad flores:flor peces:pez luces:luz lápices:lápiz
        durmieron:dormir pidieron:pedir trajeron:traer leyeron:leer corrieron:correr compraban:comprar
        perros:perro árboles:árbol
        """,
    "Italian": """
        andavano:andare mangiavano:mangiare parlavano:parlare scrissero:scrivere bevevano:bere facevano:fare
        dicevano:dire vennero:venire dormivano:dormire leggevano:leggere cantavano:cantare correvano:correre
        libri:libro ragazzi:ragazzo amici:amico uomini:uomo alberi:albero tavoli:tavolo fiori:fiore
        chiudevano:chiudere aprivano:aprire finivano:finire prendevano:prendere vedevano:vedere volevano:volere
        """,
}
_PAIRS = {
    language: tuple((form, lemma) for form, _, lemma in (pair.partition(":") for pair in text.split()))
    for language, text in _FORMS.items()
}
_FOREIGN = tuple(language for language in _PAIRS if language != "English")
_SETTINGS = (
    "On page {n} I came across", "In chapter {n} of my reader there is", "My flash card number {n} shows",
    "Line {n} of the corpus has", "At {n} past six our teacher wrote", "Exercise {n} starts with",
)  # fmt: skip


def _draw_english(rng: random.Random) -> Draw:
    form, lemma = rng.choice(_PAIRS["English"])
    return Draw({"form": form}, lemma)


def _draw_foreign(rng: random.Random) -> Draw:
    language = rng.choice(_FOREIGN)
    form, lemma = rng.choice(_PAIRS[language])
    return Draw({"form": form, "language": language}, lemma)


def _draw_seen(rng: random.Random) -> Draw:
    language = rng.choice(tuple(_PAIRS))
    form, lemma = rng.choice(_PAIRS[language])
    seen = rng.choice(_SETTINGS).format(n=rng.randrange(3, 60))
    return Draw({"form": form, "language": language, "seen": seen}, lemma)


KIND = Kind(
    category="lemmatisation",
    metric="exact_match",
    tasks=(
        Task(
            "english",
            (
                'What is the lemma of "{form}"?',
                "lemmatize {form}",
                "Under which headword would I look up '{form}' in a dictionary?",
                "base form of {form}?",
                "«{form}» is an inflected word. Give the uninflected one.",
                "{form} -> dictionary form ->",
                "My daughter asked which basic word “{form}” comes from. I need the entry she'd find in a dictionary.",
                'Strip "{form}" of its inflection and tell me what is left as a proper word.',
                "token: {form}\nlemma:",
                "Take the word {form} back to its plain form.",
                "If a dictionary only lists infinitives and singulars, what does it list for `{form}`?",
                "citation form please: {form}",
                'Undo the grammar: which root word does "{form}" belong to?',
                "For my search index every word is reduced to its canonical form. Reduce: {form}",
            ),
            _draw_english,
        ),
        Task(
            "foreign",
            (
                'What is the dictionary form of the {language} word "{form}"?',
                "{language} lemma: {form}",
                "I can't find «{form}» in my {language} dictionary. What do I look up instead?",
                "Reduce this {language} word to its base form: {form}",
                "lemma(language={language}, word='{form}') =",
                "In {language}, {form} is a form of which word? Infinitive or singular, as the case may be: '{form}'",
                "word: {form}\nlanguage: {language}\nbase form:",
                "My {language} homework asks for the infinitive (or the singular, for nouns) of “{form}”. Which is it?",
                "{language} learner here. Headword for `{form}`?",
                "Undo the inflection of the {language} word {form}",
                "A {language} crossword wants the uninflected form of '{form}'.",
                "Quelle est la forme de base du mot « {form} » ({language}) ?",
            ),
            _draw_foreign,
        ),
        Task(
            "seen",
            (
                '{seen} "{form}", {language}. Lemma?',
                "{seen} the {language} word '{form}'. What's its dictionary entry?",
                "Building a {language} word list, base forms only. {seen} «{form}», so the list gets:",
                "{seen} `{form}` and I do not recognise the root. It's {language}. Give me the headword only.",
                "({language}) {seen} “{form}”: write down the infinitive or the singular.",
                "Corpus annotation, {language}, lemma column. {seen} '{form}'",
                'Help a {language} student: {seen} "{form}", which the glossary has only in its canonical form. '
                "Namely?",
                "{seen} this {language} form: {form}",
            ),
            _draw_seen,
        ),
    ),
)
