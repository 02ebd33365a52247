"""The Feature page in Chromium: what one sees without scrolling, what the keys do, that no label is ever lost."""

import re
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

SCREEN = {"width": 1400, "height": 1000}
STORE, OTHER = "tiny-l0@texts", "tiny-l1@texts"
FIRST_SCREEN = (
    "#feature-histogram",
    "#feature-strongest .example >> nth=4",
    "#feature-influences",
    "#feature-neighbours",
)


@pytest.fixture
def visitor(chromium):
    """A browser of one's own; at the end its pages must have had no errors and no warnings."""
    context = chromium.new_context(viewport=SCREEN)
    context.set_default_timeout(15_000)
    expect.set_options(timeout=15_000)
    complaints = []
    context.on("console", lambda message: message.type in ("error", "warning") and complaints.append(message.text))
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    yield context
    context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def living(store):
    """The feature that fires most often."""
    return int(store.stats()["n"].to_numpy().argmax())


def settle(page):
    page.wait_for_selector("#feature-strongest[data-shown]")
    page.wait_for_selector("#feature-tokens[data-shown]")
    page.wait_for_selector("#feature-band-examples[data-shown]")
    page.wait_for_selector("#feature-category-rates .main-svg >> nth=0")
    page.wait_for_selector("#feature-influences .main-svg >> nth=0")


def open_feature(context, address, feature, query="", store=STORE):
    page = context.new_page()
    page.goto(f"{address}/feature/{store}/{feature}{query}")
    settle(page)
    return page


def query_of(page):
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def edit(page, name, notes=None, author="Ada"):
    page.keyboard.press("e")
    expect(page.locator("#feature-editor")).to_be_visible()
    expect(page.locator("#feature-version")).not_to_be_empty()
    page.locator("#feature-name").fill(name)
    page.locator("#feature-author").fill(author)
    if notes is not None:
        page.locator("#feature-notes").fill(notes)


def save(page):
    page.locator("#feature-save").click()


def test_the_first_screen_shows_everything_without_scrolling(visitor, live_server, living):
    page = open_feature(visitor, live_server, living)
    for selector in FIRST_SCREEN:
        box = page.locator(selector).bounding_box()
        assert box is not None, selector
        assert box["y"] + min(box["height"], 60) < SCREEN["height"], selector
    panels = page.locator("#feature-first > .panel")
    assert panels.count() == 4
    assert max(panel.bounding_box()["y"] + panel.bounding_box()["height"] for panel in panels.all()) <= SCREEN["height"]
    expect(page.locator("h1")).to_contain_text(f"#{living}")
    expect(page.locator(".feature-caption").first).to_contain_text("Zero on the other")


def test_examples_show_the_exact_source_text_with_the_strongest_token_marked(visitor, live_server, store, living):
    page = open_feature(visitor, live_server, living, "?text=whole")
    example = store.examples(living, 1).items[0]
    shown = page.locator("#feature-strongest .example").first
    assert shown.locator(".example-text").evaluate("node => node.textContent") == "".join(example.pieces)
    peak = shown.locator(".token.is-peak")
    assert peak.text_content() == example.pieces[example.position].rstrip()
    assert float(peak.get_attribute("data-value")) == pytest.approx(example.value, rel=1e-4)
    expect(shown.locator(".example-where")).to_contain_text(f"position {example.position}")


def test_heat_follows_the_value_and_text_keeps_its_contrast_in_both_themes(visitor, live_server, living):
    page = open_feature(visitor, live_server, living)
    for theme in ("light", "dark"):
        page.evaluate("theme => document.documentElement.setAttribute('data-bs-theme', theme)", theme)
        measured = page.evaluate(
            """() => {
                const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
                const light = (c) => c.slice(0, 3).map((v) => v / 255)
                    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
                    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
                const ground = rgb(getComputedStyle(document.querySelector("#feature-first .panel")).backgroundColor);
                return [...document.querySelectorAll("#feature-strongest .token.is-active")].map((token) => {
                    const style = getComputedStyle(token);
                    const heat = rgb(style.backgroundColor);
                    const a = heat.length > 3 ? heat[3] : 1;
                    const mixed = heat.slice(0, 3).map((v, i) => a * v + (1 - a) * ground[i]);
                    const [x, y] = [light(mixed), light(rgb(style.color))].sort((p, q) => q - p);
                    return [Number(token.dataset.value), a, (x + 0.05) / (y + 0.05)];
                });
            }"""
        )
        assert len(measured) >= 5
        assert min(contrast for _, _, contrast in measured) >= 4.5
        opacities = [opacity for _, opacity, _ in sorted(measured)]
        assert opacities == sorted(opacities)
        assert opacities[-1] > opacities[0]


def test_a_token_tells_its_value_and_position_to_mouse_and_keyboard(visitor, live_server, store, living):
    page = open_feature(visitor, live_server, living)
    example = store.examples(living, 1).items[0]
    page.locator("#feature-strongest .token.is-peak").first.hover()
    expect(page.locator("#token-tip")).to_contain_text(f"position {example.position}")
    page.mouse.move(5, 5)
    expect(page.locator("#token-tip")).to_have_count(0)
    page.locator("#feature-strongest .token.is-peak").first.focus()
    expect(page.locator("#token-tip")).to_contain_text("activation")
    page.keyboard.press("ArrowLeft" if example.position > 1 else "ArrowRight")
    moved = example.position + (-1 if example.position > 1 else 1)
    expect(page.locator("#token-tip")).to_contain_text(f"position {moved}")


def test_keys_lead_to_the_next_the_previous_and_a_random_feature(visitor, live_server, living):
    page = open_feature(visitor, live_server, living)
    page.keyboard.press("j")
    expect(page.locator(".feature-id")).to_have_text(f"#{living + 1}")
    page.keyboard.press("k")
    expect(page.locator(".feature-id")).to_have_text(f"#{living}")
    page.keyboard.press("r")
    page.wait_for_url(lambda url: f"/feature/{STORE}/" in url and not url.endswith(f"/{living}"))
    page.go_back()
    expect(page.locator(".feature-id")).to_have_text(f"#{living}")


def test_choices_stand_in_the_url_go_along_and_come_back(visitor, live_server, living):
    page = open_feature(visitor, live_server, living)
    for words in ("log", "whole context", "80-99 %", "lift", "bigrams"):
        page.locator(".segmented label", has_text=re.compile(f"^{re.escape(words)}$")).click()
    page.locator("#feature-column").select_option("kind")
    page.wait_for_url(lambda url: "column=kind" in url and "unit=bigram" in url)
    wanted = {"scale": "log", "text": "whole", "band": "80-99", "rank": "lift", "unit": "bigram", "column": "kind"}
    assert query_of(page) == wanted
    expect(page.locator("#feature-band-note")).to_contain_text("quantiles 80 to 99 %")
    page.keyboard.press("j")
    expect(page.locator(".feature-id")).to_have_text(f"#{living + 1}")
    assert query_of(page) == wanted
    page.go_back()
    expect(page.locator(".feature-id")).to_have_text(f"#{living}")
    page.reload()
    settle(page)
    chosen = page.locator(".segmented input:checked + label").all_text_contents()
    assert chosen == ["log", "whole context", "80-99 %", "bigrams", "lift"]
    assert page.locator("#feature-column").input_value() == "kind"
    axis = page.locator("#feature-histogram .js-plotly-plot").evaluate("node => node.layout.yaxis.type")
    assert axis == "log"


def test_a_neighbour_is_one_click_away_and_the_table_sorts_by_any_measure(visitor, live_server, store, living):
    page = open_feature(visitor, live_server, living)
    page.locator("#feature-neighbours th button", has_text="cosine").click()
    shown = [int(text[1:]) for text in page.locator("#feature-neighbours .feature-link-id").all_text_contents()]
    rows = store.neighbours(living).sort_values("cosine", ascending=False, kind="stable")
    assert shown[:5] == [int(i) for i in rows["neighbour"]][:5]
    page.locator("#feature-neighbours a").first.click()
    expect(page.locator(".feature-id")).to_have_text(f"#{shown[0]}")


def test_another_layer_opens_at_the_matched_feature_and_says_so(visitor, live_server, workspace, living):
    partner = workspace.layer_set("tiny").best_partner(STORE, living, OTHER)
    assert partner is not None and partner.is_linked
    page = open_feature(visitor, live_server, living)
    page.locator("a.layer").click()
    expect(page.locator(".feature-arrival")).to_contain_text(f"Matched from tiny-l0 #{living}")
    assert f"/feature/{OTHER}/{partner.feature_id}?from={STORE}:{living}" in page.url
    page.go_back()
    expect(page.locator(".feature-place")).to_contain_text("tiny-l0")


def test_a_label_is_saved_with_its_version_shown_at_once_and_is_only_text(visitor, live_server):
    page = open_feature(visitor, live_server, 11)
    name, notes = "<script>document.title='bad'</script> & <b>loops</b>", "first line\n  <img src=x onerror=alert(1)>"
    edit(page, name, notes)
    save(page)
    expect(page.locator("#feature-editor")).to_be_hidden()
    expect(page.locator("#feature-title")).to_have_text(name)
    expect(page.locator("#feature-status")).to_have_text("Saved as version 1.")
    expect(page.locator("#feature-history")).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("#feature-history img").count() == 0
    page.reload()
    settle(page)
    expect(page.locator("#feature-title")).to_have_text(name)
    page.keyboard.press("e")
    expect(page.locator("#feature-notes")).to_have_value(notes)
    expect(page.locator("#feature-author")).to_have_value("Ada")


def test_a_stale_edit_shows_both_texts_and_loses_none(visitor, live_server):
    first, second = (open_feature(visitor, live_server, 12) for _ in range(2))
    edit(first, "mine", author="Ada")
    edit(second, "theirs", "their notes", author="Bo")
    save(second)
    expect(second.locator("#feature-status")).to_have_text("Saved as version 1.")
    save(first)
    conflict = first.locator("#feature-conflict")
    expect(conflict).to_contain_text("their notes")
    expect(conflict).to_contain_text("mine")
    expect(first.locator("#feature-name")).to_have_value("mine")
    first.locator("#feature-save-mine").click()
    expect(first.locator("#feature-status")).to_have_text("Saved as version 2.")
    expect(first.locator("#feature-title")).to_have_text("mine")
    expect(first.locator("#feature-history")).to_contain_text("their notes")


def test_after_a_stale_edit_one_may_take_the_other_text(visitor, live_server):
    first, second = (open_feature(visitor, live_server, 13) for _ in range(2))
    edit(first, "mine")
    edit(second, "theirs")
    save(second)
    expect(second.locator("#feature-title")).to_have_text("theirs")
    save(first)
    first.locator("#feature-take-theirs").click()
    expect(first.locator("#feature-name")).to_have_value("theirs")
    expect(first.locator("#feature-title")).to_have_text("theirs")
    first.keyboard.press("Escape")
    expect(first.locator("#feature-editor")).to_be_hidden()


def test_a_text_that_is_too_long_is_refused_beside_its_field_and_kept(visitor, live_server):
    page = open_feature(visitor, live_server, 14)
    edit(page, "x" * 201, "y" * 10_001)
    expect(page.locator("#feature-name-count")).to_have_text("The name may have at most 200 characters: found 201.")
    save(page)
    expect(page.locator("#feature-name-error")).to_contain_text("found 201")
    page.locator("#feature-name").fill("short")
    save(page)
    expect(page.locator("#feature-notes-error")).to_contain_text("found 10,001")
    assert len(page.locator("#feature-notes").input_value()) == 10_001
    page.locator("#feature-notes").fill("")
    page.locator("#feature-author").fill("")
    save(page)
    expect(page.locator("#feature-author-error")).to_contain_text("needs an author")
    page.locator("#feature-author").fill("Ada")
    save(page)
    expect(page.locator("#feature-title")).to_have_text("short")


def test_escape_asks_only_before_it_would_lose_a_change(visitor, live_server):
    page = open_feature(visitor, live_server, 15)
    page.keyboard.press("e")
    expect(page.locator("#feature-editor")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#feature-editor")).to_be_hidden()
    edit(page, "half a thought")
    page.keyboard.press("Escape")
    expect(page.locator("#feature-discard-question")).to_be_visible()
    page.locator("#feature-keep").click()
    expect(page.locator("#feature-name")).to_have_value("half a thought")
    page.keyboard.press("Escape")
    page.locator("#feature-discard").click()
    expect(page.locator("#feature-editor")).to_be_hidden()
    expect(page.locator("#feature-title")).to_have_text("no label yet")


def test_a_feature_that_does_not_exist_is_a_sentence_with_a_way_on(visitor, live_server, store):
    page = visitor.new_page()
    for feature in ("99999", "twelve"):
        page.goto(f"{live_server}/feature/{STORE}/{feature}")
        expect(page.locator(".empty-state")).to_contain_text(feature)
        expect(page.locator(".empty-state a").first).to_have_text(f"Explore {STORE}")


def test_the_page_holds_fewer_than_300_components(server, workspace, living):
    layout = next(page for page in layouts() if "feature" in (page["path_template"] or ""))["layout"]
    with server.test_request_context("/"):
        tree = layout(store=STORE, feature=str(living))
    assert 100 < sum(1 for _ in components(tree)) < 300


def layouts():
    import dash

    return list(dash.page_registry.values())


def components(node):
    if isinstance(node, (list, tuple)):
        for child in node:
            yield from components(child)
    elif hasattr(node, "to_plotly_json"):
        yield node
        yield from components(getattr(node, "children", None))


def test_the_page_settles_quickly(visitor, live_server, living):
    page = open_feature(visitor, live_server, living)
    durations = []
    for _ in range(3):
        start = time.perf_counter()
        page.goto(f"{live_server}/feature/{STORE}/{living}")
        settle(page)
        durations.append(time.perf_counter() - start)
    assert min(durations) < 4  # the benchmark holds it to 1.5 s; a test machine may be busy
