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


@pytest.fixture(scope="module")
def living(store):
    """The feature that fires most often."""
    return int(store.stats()["n"].to_numpy().argmax())


def query_of(page):
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def test_the_first_screen_shows_everything_without_scrolling(living, open_feature):
    page = open_feature(living)
    for selector in FIRST_SCREEN:
        box = page.locator(selector).bounding_box()
        assert box is not None, selector
        assert box["y"] + min(box["height"], 60) < SCREEN["height"], selector
    panels = page.locator("#feature-first > .panel")
    assert panels.count() == 4
    assert max(panel.bounding_box()["y"] + panel.bounding_box()["height"] for panel in panels.all()) <= SCREEN["height"]
    expect(page.locator("h1")).to_contain_text(f"#{living}")
    expect(page.locator(".feature-caption").first).to_contain_text("Zero on the other")


def test_examples_show_the_exact_source_text_with_the_strongest_token_marked(store, living, open_feature):
    page = open_feature(living, "?text=whole")
    example = store.examples(living, 1).items[0]
    shown = page.locator("#feature-strongest .example").first
    assert shown.locator(".example-text").evaluate("node => node.textContent") == "".join(example.pieces)
    peak = shown.locator(".token.is-peak")
    assert peak.text_content() == example.pieces[example.position].rstrip()
    assert float(peak.get_attribute("data-value")) == pytest.approx(example.value, rel=1e-4)
    expect(shown.locator(".example-where")).to_contain_text(f"position {example.position}")


def test_heat_follows_the_value_and_text_keeps_its_contrast_in_both_themes(living, open_feature):
    page = open_feature(living)
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


def test_a_token_tells_its_value_and_position_to_mouse_and_keyboard(store, living, open_feature):
    page = open_feature(living)
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


def test_keys_lead_to_the_next_the_previous_and_a_random_feature(living, open_feature):
    page = open_feature(living)
    page.keyboard.press("j")
    expect(page.locator(".feature-id")).to_have_text(f"#{living + 1}")
    page.keyboard.press("k")
    expect(page.locator(".feature-id")).to_have_text(f"#{living}")
    page.keyboard.press("r")
    page.wait_for_url(lambda url: f"/feature/{STORE}/" in url and not url.endswith(f"/{living}"))
    page.go_back()
    expect(page.locator(".feature-id")).to_have_text(f"#{living}")


def test_choices_stand_in_the_url_go_along_and_come_back(living, open_feature, settle):
    page = open_feature(living)
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


def test_a_neighbour_is_one_click_away_and_the_table_sorts_by_any_measure(store, living, open_feature):
    page = open_feature(living)
    page.locator("#feature-neighbours th button", has_text="cosine").click()
    shown = [int(text[1:]) for text in page.locator("#feature-neighbours .feature-link-id").all_text_contents()]
    rows = store.neighbours(living).sort_values("cosine", ascending=False, kind="stable")
    assert shown[:5] == [int(i) for i in rows["neighbour"]][:5]
    page.locator("#feature-neighbours a").first.click()
    expect(page.locator(".feature-id")).to_have_text(f"#{shown[0]}")


def test_another_layer_opens_at_the_matched_feature_and_says_so(workspace, living, open_feature):
    partner = workspace.layer_set("tiny").best_partner(STORE, living, OTHER)
    assert partner is not None and partner.is_linked
    page = open_feature(living)
    page.locator("a.layer").click()
    expect(page.locator(".feature-arrival")).to_contain_text(f"Matched from tiny-l0 #{living}")
    assert f"/feature/{OTHER}/{partner.feature_id}?from={STORE}:{living}" in page.url
    page.go_back()
    expect(page.locator(".feature-place")).to_contain_text("tiny-l0")


def test_a_feature_that_does_not_exist_is_a_sentence_with_a_way_on(visitor, live_server):
    page = visitor.new_page()
    for feature in ("99999", "twelve"):
        page.goto(f"{live_server}/feature/{STORE}/{feature}")
        expect(page.locator(".empty-state")).to_contain_text(feature)
        expect(page.locator(".empty-state a").first).to_have_text(f"Explore {STORE}")


def test_the_page_holds_fewer_than_300_components(server, living):
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


def test_the_page_settles_quickly(live_server, living, open_feature, settle):
    page = open_feature(living)
    durations = []
    for _ in range(3):
        start = time.perf_counter()
        page.goto(f"{live_server}/feature/{STORE}/{living}")
        settle(page)
        durations.append(time.perf_counter() - start)
    assert min(durations) < 4  # the benchmark holds it to 1.5 s; a test machine may be busy
