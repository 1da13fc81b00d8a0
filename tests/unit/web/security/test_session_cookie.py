"""The visitor's cookie and the page's HTML, behind the middleware alone."""

import pytest
from httpx import ASGITransport, AsyncClient, Response
from starlette.types import Receive, Scope, Send

from personaplex_ui.web.security.session_cookie import COOKIE, SessionCookieMiddleware, session_key

KEY = "A1b2_C3d4-" * 4 + "xyz"
PAGE = (
    '<!doctype html><html><head><link rel="preconnect" href="https://fonts.googleapis.com" />'
    '<link\n rel="preconnect" href="https://fonts.gstatic.com" crossorigin="anonymous">'
    '<script src="https://cdnjs.cloudflare.com/ajax/libs/iframe-resizer/4.3.1/x.js" async> </script>'
    '<link rel="stylesheet" href="/theme.css"><script src="/app.js"></script>'
    "</head><body>Grüße from cdnjs.cloudflare.com</body></html>"
)
STRIPPED = (
    '<!doctype html><html><head><link rel="stylesheet" href="/theme.css"><script src="/app.js"></script>'
    "</head><body>Grüße from cdnjs.cloudflare.com</body></html>"
)


class Page:
    """An app that answers everything with ``body``, in chunks of ``chunk_bytes``."""

    def __init__(
        self, body: str = PAGE, media_type: str = "text/html; charset=utf-8", status: int = 200
    ) -> None:
        self.body = body.encode()
        self.media_type = media_type
        self.status = status
        self.chunk_bytes = 10**6

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [
            (b"content-type", self.media_type.encode()),
            (b"content-length", str(len(self.body)).encode()),
            (b"set-cookie", b"theirs=1"),
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        for at in range(0, len(self.body), self.chunk_bytes):
            chunk = self.body[at : at + self.chunk_bytes]
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def ask(
    page: Page | None = None,
    path: str = "/",
    method: str = "GET",
    headers: dict[str, str] | None = None,
    base_url: str = "http://localhost",
) -> Response:
    transport = ASGITransport(SessionCookieMiddleware(page or Page()))
    async with AsyncClient(transport=transport, base_url=base_url) as client:
        return await client.request(method, path, headers=headers)


def attributes_of(response: Response) -> tuple[str, set[str]] | None:
    """The key that is set, and the cookie's attributes; None when no key is set."""
    set_cookies = response.headers.get_list("set-cookie")
    assert "theirs=1" in set_cookies
    for cookie in set_cookies:
        name_and_value, *attributes = cookie.split("; ")
        if name_and_value.startswith(f"{COOKIE}="):
            return name_and_value.removeprefix(f"{COOKIE}="), set(attributes)
    return None


async def test_each_visitor_gets_a_key_of_their_own():
    keys: list[str] = []
    for _ in range(3):
        given = attributes_of(await ask())
        assert given is not None
        keys.append(given[0])
    assert len(set(keys)) == 3
    assert all(session_key({COOKIE: key}) == key for key in keys)


async def test_on_plain_http_the_cookie_is_lax_and_hidden_from_scripts():
    given = attributes_of(await ask())
    assert given is not None
    assert given[1] == {"Path=/", "HttpOnly", "Max-Age=31536000", "SameSite=Lax"}


@pytest.mark.parametrize(
    ("base_url", "headers"),
    [
        ("https://space.example", {}),
        ("http://localhost", {"X-Forwarded-Proto": "https"}),
        ("http://localhost", {"X-Forwarded-Proto": "https,http"}),
        ("http://localhost", {"X-Forwarded-Proto": "https, https"}),
    ],
)
async def test_behind_https_the_cookie_is_kept_in_a_frame_of_another_site(
    base_url: str, headers: dict[str, str]
):
    given = attributes_of(await ask(headers=headers, base_url=base_url))
    assert given is not None
    assert given[1] == {
        "Path=/",
        "HttpOnly",
        "Max-Age=31536000",
        "SameSite=None",
        "Secure",
        "Partitioned",
    }


@pytest.mark.parametrize(
    "cookies",
    [
        f"{COOKIE}={KEY}",
        f"other=1; {COOKIE}={KEY}; more=2",
        f'layout={{"columns": [1, 2]}}; {COOKIE}={KEY}',
        f"odd name=1; {COOKIE}={KEY}",
        f"without_value; {COOKIE}={KEY}",
    ],
)
async def test_who_has_a_key_keeps_it(cookies: str):
    response = await ask(headers={"Cookie": cookies})
    assert attributes_of(response) is None


@pytest.mark.parametrize(
    "cookies",
    [
        "",
        f"{COOKIE}=",
        f"{COOKIE}=forged",
        f"{COOKIE}={KEY}x",
        f"{COOKIE}={KEY[:-1]}",
        f"{COOKIE}={KEY[:-1]}.",
        f"not_{COOKIE}={KEY}",
    ],
)
async def test_a_forged_key_is_replaced(cookies: str):
    given = attributes_of(await ask(headers={"Cookie": cookies}))
    assert given is not None
    assert given[0] not in cookies.split("=")


@pytest.mark.parametrize("key", ["", "x", KEY + "x", KEY[:-1] + "\n", KEY + "\n", "../" * 14 + "x"])
def test_what_is_no_key_of_ours_makes_nobody_an_owner(key: str):
    assert session_key({COOKIE: key}) == ""
    assert session_key({}) == ""


@pytest.mark.parametrize("chunk_bytes", [1, 7, 100, 10**6])
async def test_foreign_hosts_are_stripped_from_the_page_and_nothing_else(chunk_bytes: int):
    page = Page()
    page.chunk_bytes = chunk_bytes
    response = await ask(page)
    assert response.content.decode() == STRIPPED
    assert response.headers["content-length"] == str(len(STRIPPED.encode()))
    assert response.headers["content-type"] == "text/html; charset=utf-8"


async def test_with_a_query_it_is_the_page_too():
    response = await ask(path="/?__theme=dark")
    assert response.text == STRIPPED
    assert attributes_of(response) is not None


@pytest.mark.parametrize(
    ("path", "method"), [("/config", "GET"), ("/", "HEAD"), ("/", "POST"), ("/index.html", "GET")]
)
async def test_other_paths_and_methods_are_left_alone(path: str, method: str):
    response = await ask(path=path, method=method)
    assert response.content.decode() == ("" if method == "HEAD" else PAGE)  # httpx drops it
    assert response.headers["content-length"] == str(len(PAGE.encode()))
    assert attributes_of(response) is None


@pytest.mark.parametrize("media_type", ["application/json", "image/svg+xml", "text/plain"])
async def test_what_is_no_html_is_left_as_it_is(media_type: str):
    response = await ask(Page(media_type=media_type))
    assert response.content.decode() == PAGE
    assert response.headers["content-length"] == str(len(PAGE.encode()))


async def test_an_error_of_the_page_keeps_its_status_and_words():
    response = await ask(Page("<h1>Too many requests</h1>", status=429))
    assert (response.status_code, response.text) == (429, "<h1>Too many requests</h1>")


async def test_what_is_no_request_passes_through():
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def receive() -> dict[str, str]:
        raise AssertionError("nothing is to be received")

    async def send(message: object) -> None:
        raise AssertionError("nothing is to be sent")

    middleware = SessionCookieMiddleware(app)
    for kind in ("lifespan", "websocket"):
        await middleware({"type": kind, "path": "/"}, receive, send)
    assert seen == ["lifespan", "websocket"]
