"""The app as ``app.py`` starts it, but its model says back what it hears, at once. For tests."""

import os

from personaplex_ui.app import server, services
from personaplex_ui.config.settings import Settings
from tests.support.fake_model import FakeModel


def load(settings: Settings, *_: object) -> FakeModel:
    return FakeModel(settings.expected_calls)


if __name__ == "__main__":
    services.load_speech_model = load
    server.serve(Settings.from_mapping(os.environ))
