"""Test the page /docs in a real browser: it opens without the key, and what is tried out there takes the key."""

import json

import pytest

from tests.support.browser import open_browser
from tests.support.tiny_serving import LONG, serve

pytestmark = pytest.mark.slow


def test_requests_are_tried_out_with_the_key_that_authorize_takes(runs, tmp_path):
    with serve(runs["sentences"], key="secret-key") as (server, _), open_browser() as browser:
        page = browser.new_page()
        page.set_default_timeout(LONG * 1000)
        asked, errors = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{server.url}/docs")
        page.get_by_text("What the command predict gives, for each text").click()
        page.get_by_role("button", name="Try it out").click()
        with page.expect_response("**/predict") as refused:
            page.get_by_role("button", name="Execute").click()
        assert refused.value.status == 401
        page.get_by_role("button", name="Authorize").first.click()
        page.locator(".modal-ux input").fill("secret-key")
        page.locator(".modal-ux .btn.authorize").click()
        page.locator(".modal-ux .btn-done").click()
        page.locator("textarea.body-param__text").fill(json.dumps({"texts": ["a good film"]}))
        with page.expect_response("**/predict") as answered:
            page.get_by_role("button", name="Execute").click()
        assert answered.value.status == 200 and answered.value.json()["predictions"][0]["text"] == "a good film"
        page.screenshot(path=tmp_path / "docs.png", full_page=True)
    assert errors == [] and not [url for url in asked if not url.startswith((server.url, "data:"))]
