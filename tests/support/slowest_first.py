"""The files that take longest, which run first when tests run side by side: one that begins last would keep
one worker busy while the others have nothing left to do. Measured on two cores.
"""

import pytest

SLOW_FILES = (
    # Side by side
    "field/test_d01_health.py",
    "integration/test_accept.py",
    "field/test_c06_signals.py",
    "models/personaplex/test_parity.py",
    "offline/test_command.py",
    "integration/test_benchmark_ticks.py",
    "field/test_d01_page.py",
    "models/personaplex/test_zero_gpu.py",
    "field/test_a04_web_client.py",
    "models/personaplex/test_device_lint.py",
    "models/personaplex/test_codec.py",
    "kernels/test_compiled.py",
    "integration/test_benchmark_model.py",
    "models/personaplex/test_checkpoint.py",
    "channels/moshi/test_session.py",
    "models/personaplex/test_captured_tick.py",
    "engine/test_restart.py",
    "ui/test_own_voice.py",
    "field/test_c08_parallel_download.py",
    "integration/test_benchmarks.py",
    "ui/test_phone_tab.py",
    "models/personaplex/test_parity_of_rates.py",
    "fastrtc_phone/test_tunnel.py",
    "kernels/test_interpreted.py",
    "ui/test_callbacks.py",
    "models/personaplex/test_clip_batch.py",
    "field/test_c07_settings_of_the_hubs_client.py",
    "unit/accept/test_acceptance.py",
    "field/test_c02_proxies.py",
    "field/test_d04_half_open_offers.py",
    "integration/test_cli.py",
    "field/test_b03_length_of_a_film.py",
    # Whole calls
    "e2e/test_churn.py",
    "browser/test_accessibility.py",
    "e2e/test_moshi_chat.py",
    "browser/test_call.py",
    "e2e/test_model_trouble.py",
)


def sort_slowest_first(items: list[pytest.Item]) -> None:
    """The tests of a file stay together and in their order."""
    rank = {name: number for number, name in enumerate(SLOW_FILES)}

    def rank_of(item: pytest.Item) -> int:
        parts = item.path.parts
        return min((rank.get("/".join(parts[-n:]), len(rank)) for n in (2, 3)), default=len(rank))

    items.sort(key=rank_of)
