"""Two browsers that talk with PersonaPlex at once, in one batch of it, on the tiny checkpoint."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.support.app_process import AppProcess
from tests.support.chromium import TalkPage, open_context

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def pages(browser: Browser, tiny_app: AppProcess) -> Iterator[tuple[TalkPage, TalkPage]]:
    tiny_app.wait_for_slots(4)
    with open_context(browser) as one, open_context(browser) as two:
        yield TalkPage(one, tiny_app.url), TalkPage(two, tiny_app.url)


def test_both_hear_their_own_assistant_until_they_hang_up(
    pages: tuple[TalkPage, TalkPage], tiny_app: AppProcess
):
    first, second = pages
    for talk in pages:
        talk.start()
    for talk in pages:
        talk.wait_live()
    assert tiny_app.free_slots() == 2
    energies = [talk.inbound_energy() for talk in pages]
    for talk in pages:
        talk.wait_for_sound_of("assistant")
        talk.watch_the_transcript_grow()
    assert all(talk.inbound_energy() > energy for talk, energy in zip(pages, energies, strict=True))
    said = [talk.said() for talk in pages]
    assert said[0][:20] != said[1][:20]
    assert tiny_app.free_slots() == 2

    first.hang_up()
    tiny_app.wait_for_slots(3)
    second.watch_the_transcript_grow()  # its row in the batch is another one now
    assert second.said().startswith(said[1])
    second.hang_up()
    for talk in pages:
        talk.wait_for_result()
        assert talk.live_microphones() == 0
    tiny_app.wait_for_slots(4)


def test_a_role_is_counted_in_tokens_and_refused_when_it_does_not_fit_the_window(
    pages: tuple[TalkPage, TalkPage], tiny_app: AppProcess
):
    """The tiny model has 250 positions, of which voice, silences and room for the call take a part."""
    talk, _ = pages
    talk.role.fill("You are very kind. " * 40)
    expect(talk.page.locator("#prompt-counter")).to_contain_text("tokens")
    expect(talk.page.locator("#prompt-message")).to_contain_text("The role is too long")
    talk.start()
    expect(talk.trouble).to_contain_text("The role is too long")
    assert talk.live_microphones() == 0
    tiny_app.wait_for_slots(4)
