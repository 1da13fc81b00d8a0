"""A stand-in for Twilio's REST API, and the client that talks to it."""

from collections.abc import Iterator

import pytest
from twilio.rest import Client

from tests.support.twilio_rest import TwilioRest, client_of, twilio_rest


@pytest.fixture
def rest() -> Iterator[TwilioRest]:
    with twilio_rest() as rest:
        yield rest


@pytest.fixture
def client(rest: TwilioRest) -> Iterator[Client]:
    with client_of(rest) as client:
        yield client
