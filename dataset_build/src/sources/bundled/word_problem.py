"""Short stories whose end is a number; some hide a percentage, some a change of units."""

import random
from fractions import Fraction

from dataset_build.src.sources.bundled.kinds import Draw, Kind, Task
from dataset_build.src.sources.bundled.numerals import decimal_text, written

_NAMES = ("Amira", "Tom", "Priya", "Jonas", "Mei", "Carlos", "Anika", "Yusuf", "Grace", "Leo", "Nadia", "Piotr")


def draw_discount(rng: random.Random) -> Draw:
    """Draw a count, a price and a percentage off."""
    count, price = rng.randrange(2, 15), Fraction(rng.randrange(4, 160)) + rng.choice((0, 0, Fraction(1, 2)))
    percent = rng.choice((5, 10, 15, 20, 25, 30, 40))
    slots = {
        "name": rng.choice(_NAMES),
        "count": written(count, rng, words=0.4),
        "price": f"${decimal_text(price)}" if price.denominator == 1 else f"${float(price):.2f}",
        "percent": rng.choice((f"{percent}%", f"{percent} percent", f"{percent} %")),
    }
    return Draw(slots, decimal_text(count * price * (100 - percent) / 100))


def draw_journey(rng: random.Random) -> Draw:
    """Draw a speed per hour and a time in minutes; the distance has at most two decimals."""
    minutes = rng.choice((10, 12, 15, 18, 20, 24, 30, 36, 40, 45, 48, 50, 75, 90, 105, 135, 150))
    speed = rng.randrange(3, 60) * 6
    slots = {
        "name": rng.choice(_NAMES),
        "speed": f"{speed} {rng.choice(('km/h', 'kilometers per hour', 'km per hour'))}",
        "minutes": f"{minutes} minutes",
    }
    return Draw(slots, decimal_text(Fraction(speed * minutes, 60)))


def draw_portions(rng: random.Random) -> Draw:
    """Draw a stock in kilograms and a whole number of portions in grams."""
    portions = rng.randrange(4, 90)
    portion = rng.choice((20, 25, 40, 50, 60, 75, 80, 120, 125, 150, 180, 200, 240, 250, 300, 350, 400))
    stock = Fraction(portions * portion, 1000)
    return Draw(
        {
            "name": rng.choice(_NAMES),
            "stock": f"{decimal_text(stock)} {rng.choice(('kg', 'kilograms', 'kilos'))}",
            "portion": f"{portion} {rng.choice(('g', 'grams'))}",
        },
        str(portions),
    )


def draw_leftover(rng: random.Random) -> Draw:
    """Draw a stock of which each of several people gets the same share."""
    people, share = rng.randrange(3, 24), rng.randrange(2, 40)
    rest = rng.randrange(1, 200)
    return Draw(
        {
            "name": rng.choice(_NAMES),
            "stock": written(people * share + rest, rng, words=0.4),
            "people": written(people, rng, words=0.5),
            "share": written(share, rng, words=0.4),
        },
        str(rest),
    )


KIND = Kind(
    "word_problem",
    "number",
    (
        Task(
            "discount",
            (
                "{name} buys {count} notebooks at {price} each and gets {percent} off the whole purchase. "
                "How much does {name} pay?",
                "A hotel charges {price} per night. For a stay of {count} nights there is a reduction of {percent}. "
                "What is the total bill?",
                "Concert tickets cost {price} apiece. {name} orders {count} of them with a voucher worth {percent}. "
                "What leaves the bank account?",
                "The plumber worked {count} hours at {price} an hour, then knocked {percent} off because "
                "we are neighbours. "
                "What do we owe?",
                "Each month my gym takes {price}, but members who prepay {count} months save {percent}. "
                "How many dollars is the prepayment?",
                "{count} identical lamps, sticker price {price}. The sale sign reads minus {percent}. Sum at the till?",
                "{name} sold {count} paintings for {price} each; the gallery keeps {percent}. "
                "How much money remains for {name}?",
                "We rent {count} bikes. One bike is {price} a day, groups enjoy a {percent} rebate. "
                "What does a day cost us altogether?",
                "If a student discount of {percent} applies, what will {count} textbooks listed at "
                "{price} set {name} back?",
            ),
            draw_discount,
        ),
        Task(
            "journey",
            (
                "A train travels at {speed} for {minutes}. How many kilometers does it cover?",
                "{name} drives for {minutes} at a steady {speed}. What distance is that in km?",
                "Flying at {speed}, how far will a drone get within {minutes}?",
                "A ferry needs {minutes} from pier to pier while doing {speed}. How wide is the strait, in kilometers?",
                "{name} set the cruise control to {speed} and the next petrol station came after {minutes}. "
                "How many km away was it?",
                "The storm front moves with {speed}. By how many kilometers has it advanced {minutes} later?",
                "After {minutes} on the motorway, never faster or slower than {speed}, what does the trip "
                "counter show in km?",
                "A falcon keeps up {speed}. In {minutes} it would leave how many kilometers behind?",
                "It took the bus {minutes} to reach the airport. Its average was {speed}. "
                "Length of the route in kilometers?",
            ),
            draw_journey,
        ),
        Task(
            "portions",
            (
                "A bag holds {stock} of rice. One serving is {portion}. How many servings are in the bag?",
                "{name} bakes rolls that need {portion} of flour each and has {stock}. How many rolls can {name} make?",
                "Our dog eats {portion} a day. For how many days will a sack of {stock} last?",
                "The roaster delivered {stock} of coffee, to be packed in pouches of {portion}. "
                "How many pouches will there be?",
                "Every candle takes {portion} of wax. With {stock} of wax in the workshop, what is the largest "
                "number of candles?",
                "{name} divides {stock} of clay equally so that each child receives {portion}. How many "
                "children are there?",
                "A lorry dropped {stock} of bird seed. If a feeder swallows {portion}, how often can I refill it?",
                "Soap bars weigh {portion}. A crate of them weighs {stock}, not counting the crate. "
                "How many bars are inside?",
                "We use up {portion} of washing powder per load and just bought {stock}. Loads until it is gone?",
            ),
            draw_portions,
        ),
        Task(
            "leftover",
            (
                "{name} has {stock} marbles and gives {share} to each of {people} friends. How many marbles are left?",
                "A library owns {stock} books on gardening. {people} classes borrow {share} books each. "
                "How many stay on the shelf?",
                "From {stock} seedlings, {people} rows of {share} were planted. How many seedlings remain?",
                "There were {stock} chairs in the store. Now {people} rooms have got {share} chairs apiece. "
                "What is the number still stored?",
                "{name} printed {stock} flyers. {people} volunteers each took {share}. How many has {name} got now?",
                "The bakery made {stock} buns this morning and shipped {people} trays with {share} on every tray. "
                "Unshipped buns?",
                "{people} buses, {share} pupils in each, out of a school of {stock}. "
                "How many pupils did not get on a bus?",
                "Of the {stock} stickers in the album, {name} swaps away {share} with every one of {people} cousins "
                "and gets nothing back. What's left in the album?",
                "Someone ate {share} grapes per minute for {people} minutes. The bowl held {stock} before. "
                "How many grapes does it hold now?",
            ),
            draw_leftover,
        ),
    ),
)
