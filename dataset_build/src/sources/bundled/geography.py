"""Capitals, countries of cities, continents, currencies and which of two cities is larger."""

import random

from dataset_build.src.sources.bundled.kinds import Draw, Kind, Task

#: Country, capital, continent, ISO 4217 code of its currency, other well-known cities.
_TABLE = """
Argentina|Buenos Aires|South America|ARS|Rosario,Mendoza,La Plata
Australia|Canberra|Oceania|AUD|Sydney,Brisbane,Adelaide
Austria|Vienna|Europe|EUR|Graz,Linz,Salzburg
Bangladesh|Dhaka|Asia|BDT|Chittagong,Khulna
Belgium|Brussels|Europe|EUR|Antwerp,Ghent,Liège
Brazil|Brasília|South America|BRL|São Paulo,Recife,Curitiba,Manaus
Canada|Ottawa|North America|CAD|Toronto,Montréal,Calgary,Winnipeg
Chile|Santiago|South America|CLP|Antofagasta,Concepción
China|Beijing|Asia|CNY|Shanghai,Wuhan,Chengdu,Shenzhen
Colombia|Bogotá|South America|COP|Medellín,Cali,Barranquilla
Croatia|Zagreb|Europe|EUR|Rijeka,Zadar
Cuba|Havana|North America|CUP|Santiago de Cuba,Camagüey
Denmark|Copenhagen|Europe|DKK|Aarhus,Odense,Aalborg
Ecuador|Quito|South America|USD|Guayaquil,Cuenca
Egypt|Cairo|Africa|EGP|Giza,Luxor,Aswan
Estonia|Tallinn|Europe|EUR|Tartu,Narva
Ethiopia|Addis Ababa|Africa|ETB|Mekele,Gondar
Finland|Helsinki|Europe|EUR|Tampere,Turku,Oulu
France|Paris|Europe|EUR|Lyon,Marseille,Toulouse,Bordeaux
Germany|Berlin|Europe|EUR|Hamburg,Munich,Leipzig,Stuttgart
Ghana|Accra|Africa|GHS|Kumasi,Tamale
Greece|Athens|Europe|EUR|Patras,Volos
Hungary|Budapest|Europe|HUF|Debrecen,Szeged,Miskolc
Iceland|Reykjavik|Europe|ISK|Akureyri
India|New Delhi|Asia|INR|Mumbai,Chennai,Jaipur,Pune
Indonesia|Jakarta|Asia|IDR|Surabaya,Bandung,Makassar
Ireland|Dublin|Europe|EUR|Cork,Galway
Italy|Rome|Europe|EUR|Milan,Turin,Bologna,Palermo
Japan|Tokyo|Asia|JPY|Osaka,Sapporo,Nagoya,Fukuoka
Kenya|Nairobi|Africa|KES|Mombasa,Kisumu
Latvia|Riga|Europe|EUR|Daugavpils,Liepāja
Lithuania|Vilnius|Europe|EUR|Kaunas,Klaipėda
Malaysia|Kuala Lumpur|Asia|MYR|Ipoh,Kuching
Mexico|Mexico City|North America|MXN|Guadalajara,Puebla,Tijuana
Mongolia|Ulaanbaatar|Asia|MNT|Erdenet
Morocco|Rabat|Africa|MAD|Casablanca,Fez,Agadir
Nepal|Kathmandu|Asia|NPR|Pokhara,Biratnagar
New Zealand|Wellington|Oceania|NZD|Auckland,Christchurch,Dunedin
Nigeria|Abuja|Africa|NGN|Lagos,Kano,Ibadan
Norway|Oslo|Europe|NOK|Bergen,Stavanger,Tromsø
Pakistan|Islamabad|Asia|PKR|Karachi,Lahore,Peshawar
Peru|Lima|South America|PEN|Arequipa,Cusco,Iquitos
Philippines|Manila|Asia|PHP|Cebu City,Davao
Poland|Warsaw|Europe|PLN|Kraków,Gdańsk,Poznań,Wrocław
Portugal|Lisbon|Europe|EUR|Porto,Braga,Coimbra
Romania|Bucharest|Europe|RON|Timişoara,Constanţa,Braşov
Senegal|Dakar|Africa|XOF|Touba,Kaolack
Serbia|Belgrade|Europe|RSD|Niš,Subotica
South Korea|Seoul|Asia|KRW|Busan,Daegu,Incheon
Spain|Madrid|Europe|EUR|Seville,Zaragoza,Bilbao,Málaga
Sweden|Stockholm|Europe|SEK|Malmö,Uppsala,Örebro
Switzerland|Bern|Europe|CHF|Basel,Lausanne,Lucerne
Thailand|Bangkok|Asia|THB|Chiang Mai,Udon Thani
Tunisia|Tunis|Africa|TND|Sfax,Sousse
Turkey|Ankara|Asia|TRY|Istanbul,Bursa,Antalya
Uganda|Kampala|Africa|UGX|Entebbe,Gulu
Ukraine|Kyiv|Europe|UAH|Odesa,Lviv,Kharkiv
Uruguay|Montevideo|South America|UYU|Paysandú
Vietnam|Hanoi|Asia|VND|Da Nang,Haiphong,Huế
Zambia|Lusaka|Africa|ZMW|Ndola,Kitwe
"""
ROWS = tuple(tuple(line.split("|")) for line in _TABLE.split("\n") if line)

#: Cities in three tiers, so far apart in population that no way of counting changes the order.
TIERS = (
    ("Shanghai", "Tokyo", "Mumbai", "Istanbul", "Karachi", "Lagos", "São Paulo", "Beijing", "Cairo", "Moscow",
     "Jakarta"),
    ("Hamburg", "Vienna", "Budapest", "Warsaw", "Munich", "Milan", "Prague", "Calgary", "Montevideo", "Belgrade",
     "Sofia"),
    ("Salzburg", "Bern", "Galway", "Tromsø", "Dunedin", "Coimbra", "Bergen", "Tartu", "Ghent", "Uppsala", "Reykjavik"),
)  # fmt: skip

_OPENINGS = (
    "",
    "",
    "",
    "On 3 May 2021 we argued about this at dinner. ",
    "For a quiz at 20:30: ",
    "I paid 12 euros to settle this. ",
)


def _draw_capital(rng: random.Random) -> Draw:
    row = rng.choice(ROWS)
    return Draw({"country": row[0], "opening": rng.choice(_OPENINGS)}, row[1])


def _draw_country(rng: random.Random) -> Draw:
    row = rng.choice(ROWS)
    city = rng.choice([row[1], *row[4].split(",")])
    return Draw({"city": city, "opening": rng.choice(_OPENINGS)}, row[0])


def _draw_continent_or_currency(rng: random.Random, column: int) -> Draw:
    row = rng.choice([row for row in ROWS if column == 3 or row[0] not in ("Turkey", "Egypt", "Indonesia")])
    return Draw({"country": row[0], "opening": rng.choice(_OPENINGS)}, row[column])


def _draw_currency(rng: random.Random) -> Draw:
    return _draw_continent_or_currency(rng, 3)


def _draw_larger(rng: random.Random) -> Draw:
    upper, lower = sorted(rng.sample(range(len(TIERS)), 2))
    large, small = rng.choice(TIERS[upper]), rng.choice(TIERS[lower])
    first, second = (large, small) if rng.random() < 0.5 else (small, large)
    return Draw({"first": first, "second": second, "opening": rng.choice(_OPENINGS)}, large)


KIND = Kind(
    category="geography",
    metric="exact_match",
    tasks=(
        Task(
            "capital",
            (
                "{opening}What is the capital of {country}?",
                "capital city {country}",
                "{opening}Which city does {country} have as its capital?",
                "{country}'s capital, please",
                "{opening}In which town would I find the national government of {country}?",
                "Name the seat of government of {country}.",
                "{opening}If I want to visit the parliament of {country}, which city do I fly to?",
                "geo quiz: {country} = country, ? = capital",
                "My daughter has to learn capitals and we are stuck at {country}. Which one is it?",
                "{opening}Ambassadors sent to {country} usually live in its capital. What's that city called?",
            ),
            _draw_capital,
        ),
        Task(
            "country_of_city",
            (
                "{opening}Which country is {city} in?",
                "{city} belongs to what country",
                "{opening}I just got a postcard from {city}. What country was it sent from?",
                "country of {city}?",
                "In what state of the world (nation, I mean) does {city} lie?",
                "{opening}Where is {city}? Just the country name.",
                "My new flatmate grew up in {city}; which nation would her passport most likely be from?",
                "{opening}Someone says they live in {city}. Tell me the country.",
                "city={city}; country=",
                "If a plane lands in {city}, which country has it arrived in?",
            ),
            _draw_country,
        ),
        Task(
            "currency",
            (
                "{opening}What is the ISO code of the currency used in {country}?",
                "currency code {country}",
                "{opening}With which money do people pay in {country}? Three-letter code please.",
                "I'm off to {country} and need cash. Which three letter currency abbreviation do I ask the bank for?",
                "{opening}Prices in {country} are quoted in which currency? (like GBP)",
                "legal tender of {country}, 3 letters",
                (
                    "An invoice from a supplier in {country} has an amount but no currency. Which ISO 4217 code is "
                    "it, presumably?"
                ),
                "{opening}Exchange desk: what do I swap my dollars into for a week in {country}? Code only.",
            ),
            _draw_currency,
        ),
        Task(
            "larger_city",
            (
                "{opening}Which city has more inhabitants, {first} or {second}?",
                "{first} vs {second}: bigger population?",
                "Is {first} larger than {second} or the other way round? Give me the name of the more populous one.",
                "{opening}Between {first} and {second}, where do more people live?",
                "pick the more populous: {first} / {second}",
                (
                    "{opening}I hate crowds, so I'd avoid the larger one. {first} or {second}, which has the "
                    "greater population?"
                ),
                "Compare the head counts of {first} and {second} and name the winner.",
                "{opening}Of these two, {first} and {second}, which is the bigger city?",
                "A friend bets that {first} is home to more people than {second}. Which of them really is the largest?",
                "rank by residents and return the top one: {first}, {second}",
            ),
            _draw_larger,
        ),
    ),
)
