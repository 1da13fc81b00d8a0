"""Whoever opens any page of a closed server in a browser is shown where to log in, and led back."""

import re
from html import unescape

import pytest
from httpx import AsyncClient

from tests.support.page_session import LIBRARIES_WARN, OpenApp

pytestmark = [LIBRARIES_WARN, pytest.mark.asyncio(loop_scope="module")]

PASSWORD = "a long password for tests"
VARIABLES = {"APP_PASSWORD": PASSWORD, "API_KEY": "a-key"}

BROWSER = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Site": "none",
}
OLD_BROWSER = {"Accept": BROWSER["Accept"]}
ADDRESSES = (
    "/moshi/",
    "/moshi",
    "/moshi/index.html",
    "/moshi/?voice_prompt=NATF2.pt&text_prompt=Be%20kind%20%26%20brief.",
    "/docs",
    "/voices",
    "/calls/x/transcript.txt",
    "/a%20b/%C3%A9?q=%2F%3F",
)


@pytest.fixture
def visitor(app: OpenApp) -> AsyncClient:
    app.http.cookies.clear()
    return app.http


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("browser", [BROWSER, OLD_BROWSER])
async def test_the_login_page_is_shown_and_leads_back(
    visitor: AsyncClient, address: str, browser: dict[str, str]
):
    shown = await visitor.get(address, headers=browser, follow_redirects=True)
    assert (shown.status_code, shown.headers["content-type"][:9]) == (200, "text/html")
    form = unescape(shown.text).partition('action="')[2].partition('"')[0]
    filled = {"username": "x", "password": PASSWORD}
    filled_in = await visitor.post(shown.url.join(form), data=filled, headers=browser)
    home = filled_in.url.join(filled_in.headers["location"])
    back = await visitor.get(home, headers=browser)
    assert (home.path, filled_in.status_code, back.status_code) == ("/", 303, 303)
    assert str(home.join(back.headers["location"])) == f"http://localhost{address}"


async def test_behind_a_prefix_all_of_it_is_relative(visitor: AsyncClient):
    for address in ADDRESSES:
        answer = await visitor.get(address, headers=BROWSER)
        assert re.fullmatch(r"(\.\./)*(\./)?\?next=[^/]*", answer.headers["location"])


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"Accept": "*/*"}),
        ("GET", {"Accept": "application/json"}),
        ("POST", BROWSER),
        ("GET", {"Accept": "text/html", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}),
    ],
)
async def test_programs_are_told_in_json(visitor: AsyncClient, method: str, headers: dict[str, str]):
    answer = await visitor.request(method, "/voices", headers=headers)
    assert answer.status_code == 401
    assert "password" in answer.json()["detail"]


async def test_a_wrong_password_in_the_address_is_told_on_a_page(visitor: AsyncClient):
    answer = await visitor.get("/moshi/?password=wrong", headers=BROWSER)
    assert (answer.status_code, answer.headers["content-type"][:9]) == (401, "text/html")
    assert "is wrong" in answer.text
    assert 'href="../"' in answer.text


@pytest.mark.parametrize(
    "place",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "../../x",
        "%2F%2Fevil",
    ],
)
async def test_it_leads_to_nobody_elses_page(visitor: AsyncClient, place: str):
    await visitor.post("/login", data={"username": "x", "password": PASSWORD})
    answer = await visitor.get("/", params={"next": place}, headers=BROWSER)
    if answer.status_code == 303:
        there = answer.url.join(answer.headers["location"])
        assert (there.host, answer.headers["location"][:2]) == ("localhost", "./")
    else:
        assert "Talk with PersonaPlex" in answer.text
