import inspect

from personaplex_ui import errors
from personaplex_ui.errors import EngineUnavailable, InvalidInput, PersonaplexError, SettingsError, setting


def test_every_error_has_a_code_of_its_own() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    codes = [kind.code for kind in kinds if issubclass(kind, PersonaplexError)]
    assert len(codes) > 10
    assert len(set(codes)) == len(codes)


def test_a_front_end_words_the_settings_of_a_sentence() -> None:
    error = EngineUnavailable(f"Correct {setting('HF_REPO')}, or set {setting('MAX_CALLS', 3)}.")
    assert str(error) == "Correct HF_REPO, or set MAX_CALLS=3."
    options = {"HF_REPO": "--model", "MAX_CALLS": "--batch"}
    assert error.worded(lambda name, value: f"{options[name]} {value}".strip()) == (
        "Correct --model, or set --batch 3."
    )


def test_an_error_tells_what_it_is_about() -> None:
    assert SettingsError("PORT is 0.", setting="PORT").setting == "PORT"
    assert InvalidInput("voice", "There is no such voice.").field == "voice"
