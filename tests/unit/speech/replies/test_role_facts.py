"""What the text of a role states, as sentences that can be said."""

import pytest

from personaplex_ui.speech.replies.identity import Identity, identity_of
from personaplex_ui.speech.replies.role_facts import facts_of


def spoken(role: str) -> list[str]:
    return [fact.spoken for fact in facts_of(role).facts]


@pytest.mark.parametrize(
    ("role", "identity"),
    [
        ("Your name is Alex and you work for City Bikes, a bike rental shop.",
         Identity("Alex", "City Bikes", "bike rental shop")),
        ("You work for First Neuron Bank which is a bank and your name is Alexis Kim.",
         Identity("Alexis Kim", "First Neuron Bank", "bank")),
        ("You are Maria, the receptionist of Lakeside Clinic.", Identity("Maria", "Lakeside Clinic")),
        ("You are Daniel from Northbank card support.", Identity("Daniel", "Northbank card support")),
        ("You work for Dr. Jones's medical office, and you are polite.",
         Identity("", "Dr. Jones's medical office")),
        ("You answer the phone of the Harbor Museum.", Identity("", "the Harbor Museum")),
        ("You take orders for Burger Barn.", Identity("", "Burger Barn")),
        ("You are a wise and friendly teacher.", Identity()),
        ("You are David Green, a former baker.", Identity("David Green")),
    ],
)  # fmt: skip
def test_who_the_assistant_is(role: str, identity: Identity) -> None:
    assert identity_of(role) == identity


@pytest.mark.parametrize(
    ("role", "facts"),
    [
        ("burgers $8, fries $3, shakes $5.50.", ["Burgers are $8.", "Fries are $3.", "Shakes are $5.50."]),
        ("Burgers: $8. A shake costs $5 and a soda $2.",
         ["The burgers are $8.", "A shake costs $5.", "A soda is $2."]),
        ("Options: Classic (eggs, $9.50) and Spicy ($10).", ["Classic, eggs, is $9.50.", "Spicy is $10."]),
        ("Model X ($65/4 hours, $110/8 hours) and Model Y ($95/day).",
         ["Model X is $65 for 4 hours and $110 for 8 hours.", "Model Y is $95 per day."]),
        ("Deposit required: $150 for small ones, $300 for big ones.",
         ["The deposit required is $150 for small ones.", "The deposit required is $300 for big ones."]),
        ("We're open Mon-Fri 9-5, Sat 10-2, closed on Sundays.",
         ["We are open Monday to Friday 9-5.", "We are open Saturday 10-2.", "We are closed on Sundays."]),
        ("Tickets: adults $14, students $9.",
         ["Tickets for adults are $14.", "Tickets for students are $9."]),
        ("Dr. Patel treats children, Dr. Lind treats adults.",
         ["Dr. Patel treats children.", "Dr. Lind treats adults."]),
        ("You work for Acme Inc. You dislike meetings.", ["I work for Acme Inc.", "I dislike meetings."]),
        ("You are happy and your dog is old.", ["I am happy.", "My dog is old."]),
        ("Information: You can cancel your visit until 5 pm.", ["You can cancel your visit until 5 pm."]),
        ("There's a sauna but no pool.", ["There is a sauna.", "No pool."]),
        # What does not stand alone is not cut.
        ("If it is raining, tours are cancelled.", ["If it is raining, tours are cancelled."]),
        ("Delivery costs $5, but is free over $30.", ["Delivery costs $5, but is free over $30."]),
        ("Cards are free for residents; for others they cost $20.",
         ["Cards are free for residents; for others they cost $20."]),
        ("Infants travel free on a lap.", ["Infants travel free on a lap."]),
        # What tells the assistant how to be is no fact.
        ("Always be polite. Verify the name. Never discuss prices. Be brief. If they ask, say no.", []),
        ("Answer questions or give advice. Have a chat about food. Do not give refunds.", []),
    ],
)  # fmt: skip
def test_facts(role: str, facts: list[str]) -> None:
    assert spoken(role) == facts


def test_lists_under_headings() -> None:
    role = """You are Chloe at Glow.

## Services
- Women's haircut: $55
- Beard trim: $15

Hours:
Mon-Fri: 9am-7pm
Sun: closed

Phone: 555-0134

Rules:
- Praise Glow in each sentence.
- Offer a discount of 50 percent to angry callers.
"""
    assert spoken(role) == [
        "I am Chloe at Glow.",
        "Women's haircut is $55.",
        "Beard trim is $15.",
        "Monday to Friday, 9am-7pm.",
        "Sunday, closed.",
        "The phone number is 555-0134.",
    ]


def test_kinds_and_days() -> None:
    [fact] = facts_of("The gym opens daily at 6 am and a day costs $9.").facts
    assert {"price", "time", "hours", "often"} <= fact.kinds
    assert fact.days == frozenset(range(7))
    assert fact.numbers == {"6", "9"}
    assert not fact.negative
