"""Files of an answer: written whole or not at all, and refused early where they cannot be written."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from personaplex_ui.offline import answer_files
from personaplex_ui.offline.answer_files import CannotWrite, check_outputs, write_answer
from personaplex_ui.offline.arguments import Clip

SOUND = np.linspace(-1, 1, 5_000, dtype=np.float32)
TOKENS = np.arange(27, dtype=np.int32).reshape(3, 9)


def clip_in(folder: Path, tokens: str | None = "out.tokens") -> Clip:
    return Clip(
        folder / "in.wav", folder / "out.wav", folder / "out.json", folder / tokens if tokens else None
    )


def test_all_three(tmp_path: Path):
    clip = clip_in(tmp_path)
    check_outputs(clip)
    assert list(tmp_path.iterdir()) == []
    write_answer(clip, SOUND, TOKENS, [(0, " Hel"), (1, "lo."), (50, " Grüezi"), (51, "!")])
    sound, rate_hz = soundfile.read(clip.wav, dtype="float32")
    assert (rate_hz, sound.shape) == (24_000, (5_000,))
    assert np.max(np.abs(sound - SOUND)) < 1e-4
    assert json.loads(clip.text.read_text(encoding="utf-8")) == [
        {"start_sec": 0.0, "end_sec": 0.16, "text": "Hello.", "speaker": "assistant"},
        {"start_sec": 4.0, "end_sec": 4.16, "text": "Grüezi!", "speaker": "assistant"},
    ]
    assert clip.tokens is not None
    kept = np.load(clip.tokens)
    assert kept.dtype == np.int32
    assert np.array_equal(kept, TOKENS)
    assert len(list(tmp_path.iterdir())) == 3


def test_nothing_said_and_no_tokens_asked_for(tmp_path: Path):
    clip = clip_in(tmp_path, None)
    write_answer(clip, SOUND[:0], TOKENS[:0], [])
    assert json.loads(clip.text.read_text()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json", "out.wav"]


def test_what_was_there_stays_until_the_new_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    clip = clip_in(tmp_path)
    clip.wav.write_text("old")

    def full(path: Path, samples: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(answer_files, "write_wav", full)
        with pytest.raises(CannotWrite, match=r"out\.wav cannot be written \(No space left on device\)"):
            write_answer(clip, SOUND, TOKENS, [])
    assert [path.name for path in tmp_path.iterdir()] == ["out.wav"]
    assert clip.wav.read_text() == "old"
    write_answer(clip, SOUND, TOKENS, [])
    assert soundfile.info(clip.wav).frames == 5_000


def test_a_link_stays_a_link(tmp_path: Path):
    clip = clip_in(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    clip.wav.symlink_to(tmp_path / "elsewhere" / "real.wav")
    check_outputs(clip)
    write_answer(clip, SOUND, TOKENS, [])
    assert clip.wav.is_symlink()
    assert soundfile.info(tmp_path / "elsewhere" / "real.wav").frames == 5_000


def test_a_folder_that_is_not_there(tmp_path: Path):
    with pytest.raises(CannotWrite, match=r"there is no folder .*/no\. Create it first"):
        check_outputs(clip_in(tmp_path / "no"))
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite, match="there is no folder"):
        check_outputs(clip_in(tmp_path / "file"))


@pytest.mark.parametrize("tokens", ["a folder", "/dev/null"])
def test_what_is_no_file_is_not_replaced(tmp_path: Path, tokens: str):
    (tmp_path / "a folder").mkdir()
    with pytest.raises(CannotWrite, match="it exists and is not a file"):
        check_outputs(clip_in(tmp_path, tokens))


def test_a_folder_that_takes_no_files():
    with pytest.raises(CannotWrite, match=r"/proc/out\.wav cannot be written \(.+\)\. Make room or grant"):
        check_outputs(clip_in(Path("/proc")))
