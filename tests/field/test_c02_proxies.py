"""A proxy's address that Gradio's HTTP client cannot use is named at the start; SOCKS works."""

import os
from pathlib import Path

import pytest

from personaplex_ui.config.environment import check_proxies
from personaplex_ui.errors import SettingsError
from tests.support.app_process import refusal_at_start, running_app


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "socks://localhost:1080"),
        ("all_proxy", "socks4://localhost:1080"),
        ("HTTPS_PROXY", "ftp://localhost"),
        ("http_proxy", "http://localhost:port"),
        ("HTTPS_PROXY", "http://[::1"),
        ("NO_PROXY", "::1/128"),
        ("NO_PROXY", "localhost,[::1]"),
        ("no_proxy", "localhost, fe80::/10 ,example.org"),
    ],
)
def test_what_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://localhost:3128")
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=rf"^{name} is .*, but it must be .* Correct it or unset it"):
        check_proxies(os.environ)
    assert os.environ[name] == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "socks5://localhost:1080"),
        ("ALL_PROXY", "socks5h://localhost:1080"),
        ("https_proxy", "http://ann:secret@localhost:3128"),
        ("HTTP_PROXY", "localhost:3128"),
        ("NO_PROXY", "localhost,127.0.0.1,::1,.example.org,10.0.0.0/8"),
        ("NO_PROXY", "*"),
        ("NO_PROXY", ""),
    ],
)
def test_what_can_be_used_stays(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    check_proxies(os.environ)
    assert os.environ[name] == value


def test_a_password_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks://ann:hunter2@localhost:1080")
    with pytest.raises(SettingsError, match=r"socks://\*\*\*@localhost") as refused:
        check_proxies(os.environ)
    assert "hunter2" not in str(refused.value)


def test_the_app_ends_with_the_sentence_and_no_traceback(tmp_path: Path) -> None:
    said = refusal_at_start(tmp_path, NO_PROXY="::1/128")
    assert said.startswith("NO_PROXY is '::1/128', but it must be a list of hosts")
    assert said.count("\n") == 1


def test_the_app_runs_behind_a_socks_proxy(tmp_path: Path) -> None:
    with running_app(tmp_path, ALL_PROXY="socks5://127.0.0.1:9") as app:
        assert "Traceback" not in app.log


def test_the_hub_and_twilio_can_be_reached_through_a_socks_proxy() -> None:
    """``requests``, which they use, needs a package of its own for it."""
    import requests

    with pytest.raises(requests.ConnectionError) as refused:  # and not InvalidSchema
        requests.get("http://192.0.2.1/", proxies={"http": "socks5h://127.0.0.1:9"}, timeout=5)
    assert "SOCKS" in repr(refused.value)
