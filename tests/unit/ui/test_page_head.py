"""The head of the page's HTML, and the configuration in it."""

import json
import re

import pytest
from starlette.requests import HTTPConnection

from personaplex_ui.compat.gradio import with_own_head
from personaplex_ui.ui.page_config import CallLimits, page_config
from personaplex_ui.ui.page_head import PageHead, load_page_files
from personaplex_ui.ui.presets import PRESETS
from personaplex_ui.voices.catalogue import CATALOGUE_PATH, Voice, load_catalogue
from personaplex_ui.voices.library import VoiceLibrary
from tests.support.parsed_html import HOSTILE

LIMITS = CallLimits(max_call_sec=600, keep_sec=86_400)
VOICES = VoiceLibrary(load_catalogue(CATALOGUE_PATH), default="NATF2")
FILES = load_page_files()
GRADIO = (
    b'<html><head><meta property="og:title" content="Gradio" />\n<title>x</title></head><body></body></html>'
)


def head(voices: VoiceLibrary = VOICES, prompt: str = "Be kind.") -> PageHead:
    return PageHead(FILES, lambda: page_config(voices, prompt, LIMITS))


def test_the_configuration_can_be_read_and_tells_what_people_choose_from() -> None:
    config = page_config(VOICES, PRESETS[1].text_prompt, LIMITS)
    assert json.loads(json.dumps(config)) == config
    assert [voice["name"] for voice in config["voices"]] == VOICES.names()
    assert config["voices"][2] == {
        "name": "NATF2",
        "label": "Nora",
        "group": "Natural female",
        "about": "a natural female voice",
        "featured": True,
    }
    assert config["defaultVoice"] == "NATF2"
    assert config["defaultRole"] == PRESETS[1].id
    assert [role["text"] for role in config["roles"]] == [preset.text_prompt for preset in PRESETS]
    assert (config["maxCallSec"], config["keepSec"], config["visitorMinutes"]) == (600, 86_400, 0)


def test_each_role_has_three_things_to_try_and_an_id_of_its_own() -> None:
    assert [len(preset.suggestions) for preset in PRESETS] == [3] * len(PRESETS)
    assert len({preset.id for preset in PRESETS}) == len(PRESETS)
    assert 3 <= sum(preset.featured for preset in PRESETS) <= 5
    assert not {"own", "link"} & {preset.id for preset in PRESETS}  # the page's own


def test_a_text_of_the_operator_is_a_visitors_own_role_and_a_dropped_in_voice_is_named() -> None:
    config = page_config(VoiceLibrary([Voice("anna", "Dropped in", "anna")], default="anna"), "Be.", LIMITS)
    assert config["defaultRole"] == "own"
    assert config["defaultText"] == "Be."
    assert config["voices"][0]["label"] == "anna"
    assert config["voices"][0]["about"]


@pytest.mark.parametrize("text", [HOSTILE, "</script><script>alert(1)</script>", "<!--", "\u2028 ' \" & \\"])
def test_no_text_leaves_the_configuration(text: str) -> None:
    html = head(VoiceLibrary([Voice("v", text, text, text, text)], default="v"), text).html(None)
    found = re.search(r'<script type="application/json" id="page-config">(.*?)</script>', html, re.S)
    assert found
    assert "<" not in found[1]
    config = json.loads(found[1])
    assert config["defaultText"] == config["voices"][0]["about"] == text
    assert html.count("<script") == html.count("</script>") == 2


def test_a_link_is_previewed_only_where_the_public_address_is_known() -> None:
    def content(html: str) -> dict[str, str]:
        return dict(re.findall(r'<meta property="(.*?)" content="(.*?)">', html))

    public = content(head().html("https://talk.example.org/app"))
    assert public["og:image"] == f"https://talk.example.org/app/{FILES.path_of('share.png')}"
    assert public["og:url"] == "https://talk.example.org/app/"
    assert content(head().html(None)).keys() == {"og:type", "og:site_name", "og:title", "og:description"}


def test_ours_comes_first_and_gradios_picture_goes() -> None:
    connection = HTTPConnection({"type": "http", "headers": [], "client": ("127.0.0.1", 1), "scheme": "http"})
    html = head().rewrite(GRADIO, connection).decode()
    assert html.index("page-config") < html.index("<title>x</title>")
    assert "Gradio" not in html
    paths = re.findall(r'(?:src|href)="(.*?)"', html)
    assert sum(path.startswith("page/") for path in paths) == len(paths) - 1  # and the favicon


def test_a_page_without_a_head_is_left_as_it_is() -> None:
    assert with_own_head(b"<p>Hello</p>", b"<title>ours</title>") == b"<p>Hello</p>"
