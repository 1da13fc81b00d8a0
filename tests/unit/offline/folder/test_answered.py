"""What is whole, what is not, and that no moment exists at which a kill leaves something half."""

import json
import os
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from personaplex_ui.offline.answer_files import CannotWrite
from personaplex_ui.offline.folder import answered
from personaplex_ui.offline.folder.answered import Found, State, look, write
from personaplex_ui.offline.folder.cases import Case

SETTINGS = {"voice": "NATF2", "role": "Be kind.", "seed": 7}
OTHERS = {**SETTINGS, "seed": 8, "greedy": True}
SOUND = np.linspace(-1, 1, 5_000, dtype=np.float32)
RECORDING = b"a recording"
HEARD = sha256(RECORDING).hexdigest()
NAMES = ["output.json", "output.settings.json", "output.wav"]


@pytest.fixture
def case(tmp_path: Path) -> Case:
    (tmp_path / "input.wav").write_bytes(RECORDING)
    return Case(tmp_path / "input.wav", "input.wav")


def test_an_answer_is_whole_until_something_is_different(case: Case):
    assert look(case, SETTINGS) == Found(State.OPEN)
    write(case, SETTINGS, SOUND, "{}\n", HEARD)
    assert sorted(path.name for path in case.folder.iterdir()) == ["input.wav", *NAMES]
    assert look(case, SETTINGS) == Found(State.WHOLE)
    assert look(case, OTHERS) == Found(State.CHANGED, ("greedy", "seed"))
    case.input.write_bytes(b"another recording")
    assert look(case, SETTINGS) == Found(State.CHANGED, ("recording",))


def test_words_that_a_recogniser_wrote_since_stay(case: Case):
    write(case, SETTINGS, SOUND, "{}\n", HEARD)
    case.words.write_text('{"text": "as heard", "chunks": []}')
    assert look(case, SETTINGS) == Found(State.WHOLE)


def test_an_answer_of_somebody_else(case: Case):
    for path in (case.wav, case.words):
        path.write_bytes(b"theirs")
        assert look(case, SETTINGS) == Found(State.FOREIGN)
        path.unlink()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_gone_is_answered_again(case: Case, name: str):
    write(case, SETTINGS, SOUND, "{}\n", HEARD)
    path = case.folder / name
    path.unlink()
    assert look(case, SETTINGS).state is (State.FOREIGN if name == "output.settings.json" else State.OPEN)


class KilledError(BaseException):
    """Like SIGKILL: no handler of the code under test may run for it."""


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("at", range(8))
def test_a_kill_at_any_moment(case: Case, monkeypatch: pytest.MonkeyPatch, at: int, again: bool):
    """Before each of the three files is written and before each is renamed, before the old sound goes, and
    after all."""
    if again:
        write(case, OTHERS, SOUND[::-1].copy(), "{}\n", HEARD)
    moments = iter(range(100))

    def watched(do: object):
        def done(*arguments: object, **more: object) -> object:
            if next(moments) == at:
                raise KilledError
            return do(*arguments, **more)  # type: ignore[operator]

        return done

    with monkeypatch.context() as patched:
        patched.setattr(answered, "write_wav", watched(answered.write_wav))
        patched.setattr(Path, "write_text", watched(Path.write_text))
        patched.setattr(Path, "unlink", watched(Path.unlink))
        patched.setattr(Path, "replace", watched(Path.replace))
        try:
            write(case, SETTINGS, SOUND, '{"text": "new"}\n', HEARD)
            killed = False
        except KilledError:
            killed = True
    assert killed is (at < 7)
    found = look(case, SETTINGS)
    if found.state is State.WHOLE:
        assert case.words.read_text() == '{"text": "new"}\n'
    else:
        assert found.state in (State.OPEN, State.CHANGED) if again else found.state is State.OPEN
        assert killed
        write(case, SETTINGS, SOUND, '{"text": "new"}\n', HEARD)
        assert look(case, SETTINGS) == Found(State.WHOLE)
    assert sorted(path.name for path in case.folder.iterdir()) == ["input.wav", *NAMES]


@pytest.mark.parametrize("name", ["output.wav", "output.settings.json"])
def test_what_another_program_replaced_is_not_ours_any_more(case: Case, name: str):
    for theirs in (b"FOREIGN", b"", b"[1, 2]", b'{"settings": 3, "output_sha256": "x"}', b"\xff"):
        write(case, SETTINGS, SOUND, "{}\n", HEARD)
        (case.folder / name).write_bytes(theirs)
        assert look(case, SETTINGS) == Found(State.FOREIGN)


def test_an_answer_that_is_a_link_to_nothing_is_somebody_elses(case: Case):
    case.wav.symlink_to("gone.wav")
    assert look(case, SETTINGS) == Found(State.FOREIGN)
    case.settings.write_text(json.dumps({"output_sha256": "", "settings": dict(SETTINGS)}))
    assert look(case, SETTINGS) == Found(State.FOREIGN)


def test_named_pipes_keep_nobody_waiting(case: Case):
    write(case, SETTINGS, SOUND, "{}\n", HEARD)
    for path in (case.settings, case.wav):
        path.unlink()
        os.mkfifo(path)
        assert look(case, SETTINGS) == Found(State.FOREIGN)
        with pytest.raises(CannotWrite, match="it exists and is not a file"):
            answered.check_writable(case)


def test_settings_of_other_shape(case: Case):
    write(case, SETTINGS, SOUND, "{}\n", HEARD)
    told = {"output_sha256": answered.hash_of(case.wav), "settings": "none"}
    case.settings.write_text(json.dumps(told))
    assert look(case, SETTINGS).state is State.CHANGED


def test_halves_of_letters_in_settings_and_words(case: Case):
    """Of a name that is not UTF-8, or of a language model that sends half a smiley."""
    settings = {**SETTINGS, "model": "caf\udce9"}
    write(case, settings, SOUND, json.dumps({"text": "\ud83d"}, ensure_ascii=False), HEARD)
    assert look(case, settings) == Found(State.WHOLE)
    assert json.loads(case.words.read_text(encoding="utf-8")) == {"text": "\ud83d"}


def test_a_folder_that_cannot_be_written(case: Case, monkeypatch: pytest.MonkeyPatch):
    answered.check_writable(case)
    assert os.listdir(case.folder) == ["input.wav"]
    case.wav.mkdir()
    with pytest.raises(CannotWrite, match=r"output\.wav cannot be written: it exists and is not a file"):
        answered.check_writable(case)
    case.wav.rmdir()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(answered, "write_wav", full)
    with pytest.raises(CannotWrite, match="No space left on device"):
        write(case, SETTINGS, SOUND, "{}\n", HEARD)
    assert os.listdir(case.folder) == ["input.wav"]
