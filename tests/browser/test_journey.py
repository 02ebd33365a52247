"""A visitor's way through the dashboard: Explorer, Feature, neighbour, label, back; the console stays empty throughout."""

import re

from playwright.sync_api import Page, expect

from dashboard import urls


def test_a_visitor_finds_a_feature_labels_its_neighbour_and_comes_back(page: Page) -> None:
    page.goto(urls.explorer("tiny-l0@texts", sort="n:desc"))
    page.locator('.ag-row[row-index="0"] .explorer-open').click()
    expect(page.locator("#feature-neighbours a").first).to_be_visible()
    neighbour = page.locator("#feature-neighbours .feature-link-id").first.inner_text()
    page.locator("#feature-neighbours a").first.click()
    expect(page.locator(".feature-id")).to_have_text(neighbour)
    page.keyboard.press("e")
    expect(page.locator("#label-version")).not_to_be_empty()
    page.locator("#label-name").fill("met on the way")
    page.locator("#label-author").fill("Ada")
    page.locator("#label-save").click()
    expect(page.locator("#feature-title")).to_have_text("met on the way")
    page.go_back()
    expect(page.locator(".feature-id")).not_to_have_text(neighbour)
    page.go_back()
    expect(page).to_have_url(re.compile("/explorer/"))
    page.goto(urls.explorer("tiny-l0@texts", q="met on the way"))
    expect(page.locator("#explorer-count")).to_have_text("1 of 128 features")
    expect(page.locator('.ag-row[row-index="0"] .explorer-open')).to_have_text(neighbour.removeprefix("#"))
