"""Elements and molar masses."""

import random
from decimal import Decimal

from dataset_build.src.sources.bundled.kinds import Draw, Kind, Task

_NAMES = (
    "hydrogen/H helium/He lithium/Li beryllium/Be boron/B carbon/C nitrogen/N oxygen/O fluorine/F neon/Ne "
    "sodium/Na magnesium/Mg aluminum/Al silicon/Si phosphorus/P sulfur/S chlorine/Cl argon/Ar potassium/K "
    "calcium/Ca scandium/Sc titanium/Ti vanadium/V chromium/Cr manganese/Mn iron/Fe cobalt/Co nickel/Ni "
    "copper/Cu zinc/Zn gallium/Ga germanium/Ge arsenic/As selenium/Se bromine/Br krypton/Kr rubidium/Rb "
    "strontium/Sr yttrium/Y zirconium/Zr niobium/Nb molybdenum/Mo technetium/Tc ruthenium/Ru rhodium/Rh "
    "palladium/Pd silver/Ag cadmium/Cd indium/In tin/Sn antimony/Sb tellurium/Te iodine/I xenon/Xe cesium/Cs "
    "barium/Ba lanthanum/La cerium/Ce praseodymium/Pr neodymium/Nd promethium/Pm samarium/Sm europium/Eu "
    "gadolinium/Gd terbium/Tb dysprosium/Dy holmium/Ho erbium/Er thulium/Tm ytterbium/Yb lutetium/Lu "
    "hafnium/Hf tantalum/Ta tungsten/W rhenium/Re osmium/Os iridium/Ir platinum/Pt gold/Au mercury/Hg "
    "thallium/Tl lead/Pb bismuth/Bi"
)
_ATOMIC_WEIGHTS = (
    "H=1.008 C=12.011 N=14.007 O=15.999 F=18.998 Na=22.990 Mg=24.305 Al=26.982 Si=28.085 P=30.974 S=32.06 "
    "Cl=35.45 K=39.098 Ca=40.078 Mn=54.938 Fe=55.845 Cu=63.546 Zn=65.38 Br=79.904 Ag=107.868 I=126.904 "
    "Ba=137.327"
)

#: Name, symbol, atomic number.
_ELEMENTS = tuple(
    (name, symbol, number)
    for number, (name, symbol) in enumerate(
        (pair.split("/") for pair in _NAMES.split()),
        start=1,
    )
)
#: Standard atomic weights, IUPAC 2021, to three decimals where they are known.
_WEIGHTS = {symbol: Decimal(weight) for symbol, weight in (pair.split("=") for pair in _ATOMIC_WEIGHTS.split())}
#: Cations and anions with their charges, from which neutral salts are put together.
_CATIONS = (("Na", 1), ("K", 1), ("Ag", 1), ("NH4", 1), ("Mg", 2), ("Ca", 2), ("Fe", 2), ("Cu", 2), ("Zn", 2),
            ("Ba", 2), ("Mn", 2), ("Al", 3), ("Fe", 3))  # fmt: skip
_ANIONS = (("F", 1), ("Cl", 1), ("Br", 1), ("I", 1), ("OH", 1), ("NO3", 1), ("ClO3", 1), ("HCO3", 1), ("MnO4", 1),
           ("O", 2), ("S", 2), ("SO4", 2), ("CO3", 2), ("SO3", 2), ("PO4", 3), ("CH3COO", 1))  # fmt: skip
_ATOMS = {
    "NH4": {"N": 1, "H": 4}, "OH": {"O": 1, "H": 1}, "NO3": {"N": 1, "O": 3}, "ClO3": {"Cl": 1, "O": 3},
    "HCO3": {"H": 1, "C": 1, "O": 3}, "MnO4": {"Mn": 1, "O": 4}, "SO4": {"S": 1, "O": 4}, "CO3": {"C": 1, "O": 3},
    "SO3": {"S": 1, "O": 3}, "PO4": {"P": 1, "O": 4}, "CH3COO": {"C": 2, "H": 3, "O": 2},
}  # fmt: skip


def _group(ion: str, count: int) -> str:
    if count == 1:
        return ion
    return f"({ion}){count}" if ion in _ATOMS else f"{ion}{count}"


def _mass(ion: str) -> Decimal:
    return sum((_WEIGHTS[symbol] * count for symbol, count in _ATOMS.get(ion, {ion: 1}).items()), Decimal(0))


def _salt(rng: random.Random) -> tuple[str, Decimal]:
    (cation, plus), (anion, minus) = rng.choice(_CATIONS), rng.choice(_ANIONS)
    cations, anions = (1, 1) if plus == minus else (minus, plus)
    return _group(cation, cations) + _group(anion, anions), cations * _mass(cation) + anions * _mass(anion)


def _organic(rng: random.Random) -> tuple[str, Decimal]:
    carbons = rng.randrange(1, 21)
    oxygens, missing = rng.randrange(0, 5), rng.choice((0, 0, 2))
    hydrogens = 2 * carbons + 2 - (missing if carbons > 1 else 0)
    mass = carbons * _WEIGHTS["C"] + hydrogens * _WEIGHTS["H"] + oxygens * _WEIGHTS["O"]
    parts = (("C", carbons), ("H", hydrogens), ("O", oxygens))
    return "".join(f"{symbol}{count if count > 1 else ''}" for symbol, count in parts if count), mass


def draw_molar_mass(rng: random.Random) -> Draw:
    """Draw a salt or an organic compound."""
    formula, mass = rng.choice((_salt, _salt, _organic))(rng)
    return Draw({"formula": formula}, str(mass.quantize(Decimal("0.01"))))


def draw_element(rng: random.Random) -> Draw:
    """Draw an element; the answer is its atomic number."""
    name, symbol, number = rng.choice(_ELEMENTS)
    return Draw({"element": rng.choice((name, name, name.capitalize(), symbol))}, str(number))


def draw_symbol(rng: random.Random) -> Draw:
    """Draw an element by name or number; the answer is its symbol."""
    name, symbol, _ = rng.choice(_ELEMENTS)
    return Draw({"element": rng.choice((name, name.capitalize()))}, symbol)


def draw_name(rng: random.Random) -> Draw:
    """Draw an element by its symbol or atomic number; the answer is its name."""
    name, symbol, number = rng.choice(_ELEMENTS)
    return Draw(
        {"clue": rng.choice((f"the symbol {symbol}", f"atomic number {number}", f"chemical symbol {symbol}"))}, name
    )


KIND = Kind(
    "chemistry",
    "number",
    (
        Task(
            "molar_mass",
            (
                "What is the molar mass of {formula}?",
                "Calculate the molecular weight of {formula} in g/mol.",
                "{formula} molar mass",
                "How many grams does one mole of {formula} weigh?",
                "I have to weigh out exactly 1 mol of {formula}. What should the balance read?",
                "Add up the atomic weights in {formula} for me, please.",
                "g/mol for {formula}?",
                "For my stoichiometry table I still lack the formula mass of {formula}.",
                "M({formula}) = ?",
                "Lab prep: I'm making a one molar solution, one litre, of {formula}. Grams of substance needed?",
                "How heavy is 6.022e23 formula units of {formula}, in grams?",
                "Avogadro's number of {formula} particles has which mass?",
            ),
            draw_molar_mass,
        ),
        Task(
            "atomic_number",
            (
                "What is the atomic number of {element}?",
                "How many protons does an atom of {element} have?",
                "{element}: Z = ?",
                "Which position does {element} occupy in the periodic table?",
                "Tell me the nuclear charge of {element}",
                "Count the electrons in one neutral {element} atom.",
                "My chemistry flash card shows {element}, what ordinal goes on the back?",
                "proton number {element} pls",
            ),
            draw_element,
        ),
        Task(
            "symbol",
            (
                "What is the chemical symbol for {element}?",
                "Which letters stand for {element} in formulas?",
                "symbol of {element}",
                "How do chemists abbreviate {element}?",
                "In the periodic table, {element} is written as ...?",
                "I want a tattoo with the one or two letter shorthand of {element}. What is it?",
                "Give me the element symbol: {element}",
                "When balancing equations, how should I note down {element}?",
            ),
            draw_symbol,
            metric="exact_match",
        ),
        Task(
            "name",
            (
                "Which element has {clue}?",
                "Name the chemical element with {clue}.",
                "{clue}, what element is that?",
                "The crossword wants a substance from the periodic table; hint: {clue}. What's it called?",
                "Somebody scratched {clue} into the lab bench. Which element did they mean?",
                "I can't remember what {clue} belongs to. Full element name?",
                "element? {clue}",
                "In the table hanging in our classroom, whose box bears {clue}?",
            ),
            draw_name,
            metric="exact_match",
        ),
    ),
)
