"""Records a conversation with NVIDIA's own implementation, for `personaplex-ui accept --reference FOLDER`.

It runs in an environment of its own, since NVIDIA's package is also called moshi: install that from
github.com/NVIDIA/personaplex, then

    python record_reference.py FOLDER/NAME --input-wav question.wav --voice-prompt NATF2.pt \
        --text-prompt "You enjoy having a good conversation."

All options but the folder are those of its `python -m moshi.offline`. Tokens are chosen greedily.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

STREAMS = 9
"""Text, then the assistant's 8 codebooks."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the case is written")
    parser.add_argument("--input-wav", type=Path, required=True, help="what the caller says")
    parser.add_argument("--voice-prompt", required=True, help="NATF2.pt, or a WAV in --voice-prompt-dir")
    parser.add_argument("--voice-prompt-dir", type=Path, help="where voices are (the model's own)")
    parser.add_argument("--text-prompt", default="", help="the role; none if it is empty")
    given, others = parser.parse_known_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    tokens = _answer(given, others)
    shutil.copy(given.input_wav, given.folder / "user.wav")
    if not given.voice_prompt.endswith(".pt"):
        shutil.copy(given.voice_prompt_dir / given.voice_prompt, given.folder / given.voice_prompt)
    facts = {
        "voice": given.voice_prompt,
        "text_prompt": given.text_prompt,
        "user": "user.wav",
        "frames": len(tokens),
        "sampling": "greedy",
        "dtype": "bfloat16",
    }
    (given.folder / "case.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    np.savez_compressed(given.folder / "expected.npz", tokens=tokens)
    print(f"{len(tokens)} frames are in {given.folder}.")


def _answer(given: argparse.Namespace, others: list[str]) -> Any:
    """int32 ``[frames, 9]``."""
    offline = _their_offline()
    said: list[Any] = []
    decode = offline.decode_tokens_to_pcm

    def listen(mimi: Any, other_mimi: Any, lm_gen: Any, tokens: Any) -> Any:
        said.append(tokens[0, :STREAMS, 0].cpu().numpy())
        return decode(mimi, other_mimi, lm_gen, tokens)

    offline.decode_tokens_to_pcm = listen
    sound, text = str(given.folder / "said.wav"), str(given.folder / "said.json")
    sys.argv = ["moshi.offline", "--input-wav", str(given.input_wav), "--voice-prompt", given.voice_prompt]
    sys.argv += ["--text-prompt", given.text_prompt, "--output-wav", sound, "--output-text", text]
    if given.voice_prompt_dir is not None:
        sys.argv += ["--voice-prompt-dir", str(given.voice_prompt_dir)]
    sys.argv += [*others, "--greedy"]
    offline.main()
    # It is one frame late: what it says first still belongs to the prompt.
    return np.array(said[1:], dtype=np.int32)


def _their_offline() -> Any:
    try:
        from moshi import offline
    except ImportError:
        offline = None
    if not hasattr(offline, "decode_tokens_to_pcm"):
        sys.exit("This environment has no moshi of NVIDIA's. Install it from github.com/NVIDIA/personaplex.")
    return offline


if __name__ == "__main__":
    main()
