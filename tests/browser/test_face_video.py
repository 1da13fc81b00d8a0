"""Chromium plays the video of a face."""

from pathlib import Path

from playwright.sync_api import Browser, Route

from personaplex_ui.face.movie import write_face
from tests.support.field_sounds import SPEECH

PAGE = "http://video.localhost/"
PLAYED = """
async () => {
  const video = document.querySelector("video");
  const mime = 'video/mp4; codecs="avc1.42E01E, mp4a.40.2"';
  const failed = new Promise((_, refuse) => { video.onerror = () => refuse(video.error.message); });
  const loaded = new Promise((done) => { video.onloadeddata = done; });
  video.src = "face.mp4";
  await Promise.race([loaded, failed]);
  const played = new Promise((done) => { video.ontimeupdate = () => video.currentTime > 0.2 && done(); });
  await video.play();
  await Promise.race([played, failed]);
  return [video.canPlayType(mime), video.videoWidth, video.videoHeight, video.duration];
}
"""


def test_it_plays(browser: Browser, tmp_path: Path) -> None:
    film = tmp_path / "face.mp4"
    write_face(film, [SPEECH[:48_000]])
    context = browser.new_context()
    try:
        page = context.new_page()

        def answer(route: Route) -> None:
            if route.request.url == PAGE:
                route.fulfill(body="<!doctype html><video muted></video>", content_type="text/html")
            else:
                route.fulfill(body=film.read_bytes(), content_type="video/mp4")

        page.route(f"{PAGE}**", answer)
        page.goto(PAGE)
        can, width, height, duration = page.evaluate(PLAYED)
        assert (can, width, height) == ("probably", 512, 512)
        assert abs(duration - 2.0) <= 0.04
    finally:
        context.close()
