"""What does a customer want? One of four ways to go on, by letter."""

import random

from dataset_build.src.sources.bundled.kinds import Draw, Kind, Task

#: Branch -> intent -> (desk that handles it, what the customer wants, messages).
_BRANCHES: dict[str, tuple[tuple[str, str, tuple[str, ...]], ...]] = {
    "bank": (
        ("Card services", "block a lost or stolen card", (
            "my purse is gone since lunch and everything was in it",
            "I left my wallet in a taxi, can someone use it to pay?",
            "somebody took my debit card at the gym", "the cash machine swallowed my plastic, please make it useless",
            "I can't find my credit card anywhere")),
        ("Fraud team", "report a payment they did not make", (
            "there's {n} euros to a shop I have never heard of",
            "who is ordering pizza in another country on my account?",
            "I do not recognise three charges from last night", "I was debited twice by strangers, this wasn't me",
            "an unknown transaction of {n} showed up this morning")),
        ("Mortgages and loans", "borrow money", (
            "we found a house and need {n} thousand to buy it",
            "what rate would you give me for a new car, paid over five years?",
            "I'd like to apply for a loan", "can I get a mortgage although I am self-employed?",
            "my roof leaks and I need to finance the repair")),
        ("Online banking support", "get back into their online account", (
            "the app keeps telling me my password is wrong", "new phone, and now no code arrives when I sign in",
            "I am locked out after three attempts", "the website won't accept my login any more",
            "forgot my PIN for the internet thing")),
        ("Account opening", "open a new account", (
            "my daughter turns {n} and should have her own place for pocket money",
            "I want to become a customer with you",
            "which papers do I bring to start saving with you?", "can my wife and I get a joint account?",
            "just moved here, need somewhere my salary can go")),
        ("Foreign transfers", "send money abroad", (
            "how do I wire {n} dollars to my aunt in Peru?", "is there a fee when I pay a supplier in Japan?",
            "I must get funds to my son who studies overseas", "how long until an international transfer arrives?",
            "which SWIFT number do I give to my landlord in London to be paid from here?")),
    ),
    "shop": (
        ("Returns", "send an item back", (
            "the shoes pinch, I want to swap them or have my money",
            "it looks nothing like the picture. How do I give it back?",
            "please email me a return label for order {n}", "wrong colour, I'd rather not keep it",
            "this jacket is two sizes too big")),
        ("Delivery tracking", "find out where a parcel is", (
            "it's been {n} days and nothing came", "the courier says handed over, my doorstep says otherwise",
            "when will my package arrive?", "where is order {n}?", "tracking has been stuck in Leipzig since Tuesday")),
        ("Payments", "solve a problem with paying", (
            "the checkout rejects my Visa every time", "can I settle the invoice in three instalments?",
            "you billed me {n} twice", "Paypal hangs when I try to check out",
            "my voucher was ignored and I paid full price")),
        ("Product advice", "choose the right product", (
            "which of your tents suits a family of {n}?", "does the blue lamp work with a dimmer?",
            "I can't decide between the two mixers", "is this drill good enough for concrete?",
            "what would you recommend for a teenager who loves painting?")),
        ("Warranty and repairs", "have a broken product repaired", (
            "after {n} weeks the kettle stopped boiling", "the screen went black and won't come on again",
            "the zip tore on the first hike, is that covered?",
            "my headphones crackle, can you fix them under guarantee?",
            "the handle came off in my hand")),
        ("Order changes", "change or cancel an order", (
            "I typed my old street by mistake, please deliver to the new one", "I ordered {n} too many, make it one",
            "stop it before it ships, I found it cheaper", "please cancel order {n}",
            "can I still add a cable to what I bought this morning?")),
    ),
    "travel company": (
        ("Baggage", "find lost luggage", (
            "I landed, my suitcase did not", "belt {n} is empty and my bag isn't there",
            "you sent my skis to another continent",
            "my rucksack never showed up in Rome", "my checked luggage is missing")),
        ("Rebooking", "fly on another date", (
            "the wedding was moved, so I have to travel a week later", "could I take the evening plane instead?",
            "I need to change my flight to the {n}th", "exam got postponed, can we shift my trip?",
            "put me on tomorrow's one please")),
        ("Refunds", "get money back for a cancelled flight", (
            "you called off the flight to Oslo and I had to take a train",
            "when do I see my {n} euros again after the cancellation?",
            "the strike grounded us, I want to be reimbursed", "I'm owed the fare since nothing took off",
            "refund my ticket, the flight never happened")),
        ("Check-in help", "get a boarding pass", (
            "the app won't show me the code to scan at the gate",
            "seat {n} is confirmed but nothing to print came by mail",
            "I can't check in online", "what do I show at security? I've received no document",
            "your site says my name does not match when I try to get my boarding card")),
        ("Special assistance", "travel with special needs", (
            "my mother uses a wheelchair, who meets her at the door?", "I am deaf, how will I hear announcements?",
            "may I bring my guide dog on board?", "our son is {n} and flies alone for the first time",
            "I broke my leg and need help on the stairs")),
        ("Frequent flyer desk", "sort out bonus miles", (
            "my last {n} trips are not on my points balance", "how many miles do I need for an upgrade?",
            "I never became a silver member although I qualify", "my bonus expired before I could spend it",
            "can I give my points to my brother?")),
    ),
    "property company": (
        ("Plumber", "have a leak or blocked pipe fixed", (
            "water is dripping through the ceiling", "the sink in flat {n} won't drain", "my toilet overflows",
            "there's a puddle under the bath that keeps growing", "the shower gives only a trickle")),
        ("Heating engineer", "get their heating working", (
            "we sit here in coats, it's {n} degrees", "the radiators stay cold", "the boiler makes a bang and goes out",
            "my baby's room doesn't get warm", "no warmth since Sunday")),
        ("Locksmith", "get into their flat", (
            "I slammed the door and the keys are inside", "my key snapped off",
            "I am standing in the stairwell at number {n} and can't get in",
            "the lock turns but nothing opens", "somebody lost the front door key at the party")),
        ("Rent office", "ask about their rent", (
            "why did you take {n} more this month?", "can I pay a few days late?", "the standing order went out twice",
            "which bank details do I use from January on?", "is the rise in my rent legal?")),
        ("Complaints about neighbours", "complain about noise", (
            "drums at {n} past midnight, again", "upstairs parties every night and I work early shifts",
            "the dog next door barks all day", "can someone tell flat {n} to turn the music down?",
            "they drill on Sundays and laugh about it")),
        ("Lettings", "move out", (
            "I've found a job in another city, how do I give notice?", "our lease should end in {n} weeks",
            "when do I hand over the keys for good?", "who inspects the flat so I get my deposit?",
            "I want to terminate my tenancy")),
    ),
    "phone company": (
        ("Line faults", "get a broken connection repaired", (
            "no internet since the storm", "the router blinks red whatever I do", "my landline is dead",
            "video calls freeze every {n} seconds", "we are offline and both of us work from home")),
        ("Contracts", "end or switch a contract", (
            "I found a cheaper provider and want out", "what do I have to do so it doesn't renew?",
            "please move me to the smaller plan", "I'd like to cancel my subscription",
            "is there a tariff with more than {n} gigabytes?")),
        ("Billing", "understand a bill", (
            "{n} euros? I usually pay half of that", "what is this item called third-party service?",
            "why is my invoice so high?", "I got a reminder though I have paid", "your sums don't add up this month")),
        ("SIM and numbers", "keep their number or get a new SIM", (
            "I want to bring my old number along", "the little chip doesn't fit my new phone",
            "my SIM card broke", "can you send me one of those electronic ones, without plastic?",
            "please port {n} lines to you")),
        ("Roaming", "use the phone abroad", (
            "will it cost extra if I call home from Morocco?", "I'm at the airport in Cairo and have no signal",
            "how do I switch on data while on holiday in Turkey?",
            "crossing the border tomorrow, what will surfing cost?",
            "roaming doesn't work in Chile")),
        ("Installations", "book a technician for a new connection", (
            "we move in on the {n}th and there's no socket yet", "when can somebody come and lay fibre?",
            "your man did not turn up for the set-up", "I need a line put into our new office",
            "the appointment to install my broadband doesn't suit me")),
    ),
}  # fmt: skip

_OPENERS = (
    "",
    "",
    "Hello, ",
    "Hi team, ",
    "Good evening. ",
    "Dear Sir or Madam, ",
    "hey, ",
    "Sorry, ",
    "URGENT: ",
    "So, ",
)
_CLOSERS = ("", "", "", " Thanks.", " Best, Ines", " Please call me back.", " This is the second time I write.",
            " I am a customer since {n} years.", " Kind regards, T. Okafor", " Not happy!")  # fmt: skip
_LAYOUTS = (
    ("{letter}) {text}", "\n"), ("({letter}) {text}", "\n"), ("{letter}. {text}", "\n"), ("{letter}: {text}", "\n"),
    ("{letter}) {text}", " "), ("({letter}) {text}", ", "), ("{letter}: {text}", "; "), ("{letter} = {text}", ", "),
)  # fmt: skip


def _message(fragments: tuple[str, ...], rng: random.Random) -> str:
    opener, core, closer = rng.choice(_OPENERS), rng.choice(fragments), rng.choice(_CLOSERS)
    if not opener.endswith(", ") and rng.random() < 0.7:
        core = core[0].upper() + core[1:]
    if closer and core[-1] not in "?!.":
        core += "."
    return (opener + core + closer).replace("{n}", str(rng.randrange(3, 29)))


def _draw(rng: random.Random, column: int) -> Draw:
    branch = rng.choice(sorted(_BRANCHES))
    options = rng.sample(_BRANCHES[branch], 4)
    right = rng.randrange(4)
    pattern, joint = rng.choice(_LAYOUTS)
    listed = joint.join(
        pattern.format(letter=letter, text=option[column]) for letter, option in zip("ABCD", options, strict=True)
    )
    message = _message(options[right][2], rng)
    quoted = (
        rng.choice(('"{}"', "“{}”", "'{}'", "«{}»")) if "'" not in message else rng.choice(('"{}"', "“{}”", "«{}»"))
    )
    slots = {"options": listed, "message": message, "quoted": quoted.format(message), "branch": branch}
    return Draw(slots, "ABCD"[right])


def draw_desk(rng: random.Random) -> Draw:
    """Draw a message and four desks that might handle it."""
    return _draw(rng, 0)


def draw_purpose(rng: random.Random) -> Draw:
    """Draw a message and four things its writer might want."""
    return _draw(rng, 1)


KIND = Kind(
    "intent",
    "multiple_choice",
    (
        Task(
            "desk",
            (
                "Which team should handle this message to our {branch}? {quoted}\n{options}\nAnswer with the letter.",
                "Route it.\n\nMessage: {message}\n\n{options}",
                "{quoted}\n\nForward this to one of these (just the letter):\n{options}",
                "You sort mail for a {branch}. Departments:\n{options}\n\nNew mail:\n{message}\n\nWhere does it go?",
                "Ticket triage, letter only\n{message}\n---\n{options}",
                "I work at the front desk of a {branch}. Somebody wrote {quoted} Whom do I pass that on to?\n{options}",
                "Our queues are:\n{options}\nA customer says: {message}\nPick a queue.",
                "{options}\n\nOne of those four looks after the following person. Which? {quoted}",
                "Assign an owner to this complaint or question: {quoted} Candidates:\n{options}",
                "inbox -> department?\n{message}\n{options}",
                "Please be my switchboard. The caller told me {quoted} I can connect them with:\n{options}",
                "Who is in charge here?\n{options}\n\n{message}",
                (
                    "A new colleague put the letter below on the wrong pile. Name the right pile by its letter.\n"
                    "{options}\n\n{message}"
                ),
                "TICKET\n{message}\n\nQUEUES\n{options}\n\nOUTPUT: one of A, B, C, D",
                "If you had to hand {quoted} to exactly one of these people, to whom?\n{options}",
                "dispatch {quoted} to\n{options}",
            ),
            draw_desk,
        ),
        Task(
            "purpose",
            (
                "What does this customer of a {branch} want to do? {quoted}\n{options}",
                "Choose the intent.\n{message}\n\n{options}",
                "Which of the four wishes is behind this?\n\n{message}\n\nThe writer wants to\n{options}",
                "{quoted}\nWhat is this about?\n{options}\nReply A, B, C or D.",
                "classify the request, one letter back\n{options}\n###\n{message}",
                "For our chatbot at a {branch} I label what people are after. Label for {quoted}, please:\n{options}",
                "Is the sender of the following trying to ...\n{options}\n... ? Their words: {message}",
                "Grandpa runs a {branch} and reads slowly. Tell him by letter what they need: {quoted}\n{options}",
                "Goal detection. Utterance: {quoted}. Goals:\n{options}",
                "Behind every text there is a reason. Here: {message}\nThe reason, out of these:\n{options}",
                "{options}\n\nWhich line sums up {quoted}?",
                "Help me understand what they are asking for: {quoted}\nMy guesses:\n{options}\nWhich guess is it?",
                "intent? {message}\n{options}",
                "Someone phoned our hotline. Notes: {message}\nTick the box that applies:\n{options}",
                "The bot has to guess why a person got in touch. Person: {message}\nBot may say:\n{options}",
                "Match the text with a purpose and give its letter only.\nText = {quoted}\n{options}",
            ),
            draw_purpose,
        ),
    ),
)
