"""Labels on the Feature page in Chromium: saved, refused, disputed and never lost."""

from playwright.sync_api import expect


def edit(page, name, notes=None, author="Ada"):
    page.keyboard.press("e")
    expect(page.locator("#label-editor")).to_be_visible()
    expect(page.locator("#label-version")).not_to_be_empty()
    page.locator("#label-name").fill(name)
    page.locator("#label-author").fill(author)
    if notes is not None:
        page.locator("#label-notes").fill(notes)


def save(page):
    page.locator("#label-save").click()


def test_a_label_is_saved_with_its_version_shown_at_once_and_is_only_text(open_feature, settle):
    page = open_feature(11)
    name, notes = "<script>document.title='bad'</script> & <b>loops</b>", "first line\n  <img src=x onerror=alert(1)>"
    edit(page, name, notes)
    save(page)
    expect(page.locator("#label-editor")).to_be_hidden()
    expect(page.locator("#feature-title")).to_have_text(name)
    expect(page.locator("#feature-status")).to_have_text("Saved as version 1.")
    expect(page.locator("#feature-history")).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("#feature-history img").count() == 0
    page.reload()
    settle(page)
    expect(page.locator("#feature-title")).to_have_text(name)
    page.keyboard.press("e")
    expect(page.locator("#label-notes")).to_have_value(notes)
    expect(page.locator("#label-author")).to_have_value("Ada")


def test_a_stale_edit_shows_both_texts_and_loses_none(open_feature):
    first, second = (open_feature(12) for _ in range(2))
    edit(first, "mine", author="Ada")
    edit(second, "theirs", "their notes", author="Bo")
    save(second)
    expect(second.locator("#feature-status")).to_have_text("Saved as version 1.")
    save(first)
    conflict = first.locator("#label-conflict")
    expect(conflict).to_contain_text("their notes")
    expect(conflict).to_contain_text("mine")
    expect(first.locator("#label-name")).to_have_value("mine")
    first.locator("#label-save-mine").click()
    expect(first.locator("#feature-status")).to_have_text("Saved as version 2.")
    expect(first.locator("#feature-title")).to_have_text("mine")
    expect(first.locator("#feature-history")).to_contain_text("their notes")


def test_after_a_stale_edit_one_may_take_the_other_text(open_feature):
    first, second = (open_feature(13) for _ in range(2))
    edit(first, "mine")
    edit(second, "theirs")
    save(second)
    expect(second.locator("#feature-title")).to_have_text("theirs")
    save(first)
    first.locator("#label-take-theirs").click()
    expect(first.locator("#label-name")).to_have_value("theirs")
    expect(first.locator("#feature-title")).to_have_text("theirs")
    first.keyboard.press("Escape")
    expect(first.locator("#label-editor")).to_be_hidden()


def test_a_text_that_is_too_long_is_refused_beside_its_field_and_kept(open_feature):
    page = open_feature(14)
    edit(page, "x" * 201, "y" * 10_001)
    expect(page.locator("#label-name-count")).to_have_text("The name may have at most 200 characters: found 201.")
    save(page)
    expect(page.locator("#label-name-error")).to_contain_text("found 201")
    page.locator("#label-name").fill("short")
    save(page)
    expect(page.locator("#label-notes-error")).to_contain_text("found 10,001")
    assert len(page.locator("#label-notes").input_value()) == 10_001
    page.locator("#label-notes").fill("")
    page.locator("#label-author").fill("")
    save(page)
    expect(page.locator("#label-author-error")).to_contain_text("needs an author")
    page.locator("#label-author").fill("Ada")
    save(page)
    expect(page.locator("#feature-title")).to_have_text("short")


def test_escape_asks_only_before_it_would_lose_a_change(open_feature):
    page = open_feature(15)
    page.keyboard.press("e")
    expect(page.locator("#label-editor")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#label-editor")).to_be_hidden()
    edit(page, "half a thought")
    page.keyboard.press("Escape")
    expect(page.locator("#label-discard-question")).to_be_visible()
    page.locator("#label-keep").click()
    expect(page.locator("#label-name")).to_have_value("half a thought")
    page.keyboard.press("Escape")
    page.locator("#label-discard").click()
    expect(page.locator("#label-editor")).to_be_hidden()
    expect(page.locator("#feature-title")).to_have_text("no label yet")


def test_nothing_is_typed_or_saved_before_the_fields_are_filled(open_feature):
    page = open_feature(16)
    edit(page, "saved", "notes")
    save(page)
    expect(page.locator("#feature-status")).to_have_text("Saved as version 1.")
    page.keyboard.press("e")
    page.keyboard.press("Control+a")
    page.keyboard.type("fresh words", delay=20)
    expect(page.locator("#label-editor")).to_have_attribute("data-filled", "yes")
    assert page.locator("#label-name").input_value() in {
        "saved" + "fresh words"[i:] for i in range(12)
    }  # what came after
    assert page.locator("#label-notes").input_value() == "notes"


def test_a_discarded_draft_is_not_saved_on_another_feature(open_feature):
    page = open_feature(17)
    edit(page, "draft", "draft notes")
    page.keyboard.press("Escape")
    page.locator("#label-discard").click()
    page.route("**/_dash-update-component", lambda route: (page.wait_for_timeout(1_000), route.continue_()))
    page.evaluate("window.loupe.editLabel('tiny-l0@texts', 18)")
    page.keyboard.press("Control+Enter")
    page.keyboard.press("Enter")
    expect(page.locator("#label-editor")).to_have_attribute("data-filled", "yes")
    expect(page.locator("#label-name")).to_have_value("")
    expect(page.locator("#label-notes")).to_have_value("")
    page.unroute("**/_dash-update-component")
    save(page)
    expect(page.locator("#label-name-error")).to_contain_text("There is nothing to save")
    other = open_feature(18)
    expect(other.locator("#feature-title")).to_have_text("no label yet")


def test_a_confidence_that_cannot_be_is_refused_and_kept(open_feature):
    page = open_feature(19)
    edit(page, "sure")
    for text, words in (("101", "from 0 to 100 per cent"), ("very", "a number of per cent: found 'very'")):
        page.locator("#label-confidence").fill(text)
        save(page)
        expect(page.locator("#label-confidence-error")).to_contain_text(words)
    page.locator("#label-confidence").fill("80 %")
    save(page)
    expect(page.locator("#feature-status")).to_have_text("Saved as version 1.")
    expect(page.locator("#feature-history")).to_contain_text("80.0 %")
