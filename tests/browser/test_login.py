"""The page behind a password: strangers see a form and nothing else; with the password they have a call."""

import json
import re

import pytest
from playwright.sync_api import Browser, expect

from tests.support.app_process import AppProcess
from tests.support.chromium import TalkPage, open_context
from tests.support.password import PASSWORD

pytestmark = [pytest.mark.timeout(120), pytest.mark.parametrize("app", ["echo"], indirect=True)]


def test_a_wrong_password_is_told_and_the_right_one_opens_the_page(browser: Browser, app: AppProcess):
    with open_context(browser, knows_password=False) as context:
        page = context.new_page()
        page.goto(app.url)
        expect(page).to_have_title(re.compile("PersonaPlex"))
        expect(page.get_by_text("PersonaPlex").first).to_be_visible()
        page.get_by_label("password").fill("a guess")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_text("is wrong")).to_be_visible()
        expect(page.locator("#start")).to_have_count(0)
        page.get_by_label("password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.locator("#start").wait_for()
        assert PASSWORD not in json.dumps(context.cookies())
        talk = TalkPage(context, app.url)
        talk.start()
        talk.wait_live()
        talk.hang_up()
        talk.wait_for_result()


def test_strangers_are_told_nothing_of_the_server(browser: Browser, app: AppProcess):
    with open_context(browser, knows_password=False) as context:
        page = context.new_page()
        page.goto(app.url)
        page.get_by_role("button", name="Log in").wait_for()
        assert "NATF2" not in page.content()
        assert "converse" not in page.content()
        assert "conversation" not in page.content()
        for path in ("config", "gradio_api/info", "voices", "metrics", "docs", "openapi.json", "moshi/"):
            assert context.request.get(f"{app.url}/{path}").status == 401, path
