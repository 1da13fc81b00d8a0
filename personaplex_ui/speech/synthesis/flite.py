"""flite as a process of its own (Debian's package ``flite``, BSD-like): robotic, quick and small. It stands
in where Kokoro's weights cannot be had.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from personaplex_ui.audio.frames import Samples
from personaplex_ui.errors import why_of
from personaplex_ui.speech.parts import SpeechPartFailed
from personaplex_ui.speech.synthesis.levelling import levelled, silence
from personaplex_ui.speech.synthesis.spoken_text import spoken
from personaplex_ui.speech.synthesis.voice_choice import is_male
from personaplex_ui.speech.synthesis.wave_bytes import wav_sound

MOST_CHARACTERS = 4_000
MOST_BYTES = 16_000_000
"""Eight minutes at 16 kHz."""

WITHIN_SEC = 10.0
FEMALE, MALE = "slt", "rms"


class FliteSynthesiser:
    """A ``Synthesiser`` with one voice of each sex. Many threads may use it at once.

    Raises:
        SpeechPartFailed: ``program`` is not there.
    """

    def __init__(self, program: str = "flite", within_sec: float = WITHIN_SEC) -> None:
        found = shutil.which(program)
        if found is None:
            raise SpeechPartFailed(
                "The program flite is not installed; on Debian, apt install flite installs it."
            )
        self._program = found
        self._within_sec = within_sec

    def synthesise(self, text: str, voice: str) -> Samples:
        """See ``Synthesiser``; empty where ``text`` has nothing to say.

        Raises:
            SpeechPartFailed: the text is too long, or flite failed.
        """
        if len(text) > MOST_CHARACTERS:
            raise SpeechPartFailed(
                f"A text of {len(text):,} characters is too long to be said at once; {MOST_CHARACTERS:,} "
                "are the most. Say it sentence by sentence."
            )
        # flite spells letters that stand alone.
        words = re.sub(r"(?<=\b[A-Za-z])\.(?=[A-Za-z]\b)", " ", spoken(text))
        if not words:
            return silence(0)
        # A file of this user's alone, since all users see the arguments of a process.
        try:
            with tempfile.TemporaryDirectory(prefix="speech-") as folder:
                written, said = Path(folder) / "words.txt", Path(folder) / "said.wav"
                written.write_text(words.replace("…", "...").replace("—", ", "), encoding="ascii")
                self._run(MALE if is_male(voice) else FEMALE, written, said)
                return _sound_in(said)
        except OSError as error:
            raise SpeechPartFailed(
                f"flite could not be given its text: {why_of(error)}. Make room for temporary files."
            ) from None

    def _run(self, voice: str, written: Path, said: Path) -> None:
        command = [self._program, "-voice", voice, "-f", str(written), "-o", str(said)]
        try:
            subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=self._within_sec,
                check=True,
            )
        except subprocess.TimeoutExpired:
            raise SpeechPartFailed(
                f"flite took more than {self._within_sec:g} s for one sentence. Try again when less goes on."
            ) from None
        except subprocess.CalledProcessError as error:
            raise SpeechPartFailed(
                f"flite failed with exit status {error.returncode}. Install it again."
            ) from None
        except OSError as error:
            raise SpeechPartFailed(
                f"flite could not be started: {why_of(error)}. Install it again."
            ) from None


def _sound_in(path: Path) -> Samples:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError("it is too long")
        sound = levelled(wav_sound(path.read_bytes()))
        if not len(sound):
            raise ValueError("it is silent")
    except (OSError, ValueError) as error:
        raise SpeechPartFailed(
            f"The sound of flite cannot be used: {why_of(error)}. Install it again."
        ) from None
    return sound
