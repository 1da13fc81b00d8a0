"""What a recogniser's config may say."""

import pytest

from personaplex_ui.models.personaplex.captions.sizes import stt_sizes
from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointUnusable
from tests.support.captions_checkpoint import CONFIG


def test_the_released_one() -> None:
    said = {"audio_delay_seconds": 0.5, "audio_silence_prefix_seconds": 0.0}
    sizes = stt_sizes({"model_type": "stt", "stt_config": said})
    assert (sizes.codebooks, sizes.delay, sizes.prefix) == (32, 6, 0)
    assert (sizes.arguments["dim"], sizes.arguments["context"], sizes.arguments["text_card"]) == (
        2048,
        750,
        8000,
    )


def test_the_larger_one_hears_silence_first() -> None:
    said = {"audio_delay_seconds": 2.5, "audio_silence_prefix_seconds": 1.0}
    sizes = stt_sizes({**CONFIG, "stt_config": said, "context": 375})
    assert (sizes.delay, sizes.prefix) == (31, 13)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model_type": "moshi"}, "model_type = moshi"),
        ({"dep_q": 8}, "dep_q = 8"),
        ({"card": 1024}, "card = 1024"),
        ({"norm": "layer_norm"}, "norm = layer_norm"),
        ({"existing_text_padding_id": 0}, "existing_text_padding_id = 0"),
        ({"dim": "wide"}, "dim = wide"),
        ({"dim": 33}, "num_heads = 4"),
        ({"num_layers": 0}, "num_layers = 0"),
        ({"n_q": True}, "n_q = True"),
        ({"delays": [0] * 32 + [1]}, "delays"),
        ({"n_q": 31}, "delays"),
        ({"stt_config": None}, "stt_config.audio_delay_seconds = None"),
        (
            {"stt_config": {"audio_delay_seconds": 60, "audio_silence_prefix_seconds": 0}},
            "seconds from 0 to 10",
        ),
        (
            {"stt_config": {"audio_delay_seconds": 1, "audio_silence_prefix_seconds": float("nan")}},
            "seconds from 0 to 10",
        ),
        (
            {"stt_config": {"audio_delay_seconds": 1, "audio_silence_prefix_seconds": 2}, "context": 20},
            "more than 25 frames of silence",
        ),
    ],
)
def test_another_model_is_told(change: dict[str, object], says: str) -> None:
    with pytest.raises(CheckpointUnusable) as refused:
        stt_sizes({**CONFIG, **change})
    assert says in str(refused.value)
    assert str(refused.value).endswith("this is another model. Correct CAPTIONS_REPO.")
