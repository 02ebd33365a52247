"""The application answers small, safe and in words."""

import brotli
import dash
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from dashboard import bundles, factory, urls
from loaders.errors import FeatureNotFound


def get(server: Flask, path: str, **headers: str) -> TestResponse:
    return server.test_client().get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})


def scripts(server: Flask) -> list[str]:
    page = get(server, "/").text
    return [part.split('"')[0] for part in page.split('src="')[1:]]


def test_everything_is_served_by_this_server(server: Flask) -> None:
    page = get(server, "/").text
    addresses = [*scripts(server), *(part.split('"')[0] for part in page.split('href="')[1:])]
    assert len(addresses) > 8
    assert all(address.startswith("/") and not address.startswith("//") for address in addresses)


def test_the_content_policy_allows_only_this_servers_scripts(server: Flask) -> None:
    policy = get(server, "/").headers["Content-Security-Policy"]
    directives = {part.split()[0]: part.split()[1:] for part in policy.split(";")}
    assert directives["default-src"] == ["'self'"]
    assert "'unsafe-inline'" not in directives["script-src"] and "'unsafe-eval'" not in directives["script-src"]
    assert factory.script_hash(factory.THEME_SCRIPT) in directives["script-src"]
    assert factory.THEME_SCRIPT in get(server, "/").text


def test_scripts_are_compressed_before_the_first_visitor_asks(server: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    bundles.compress_ahead(server).join(timeout=60)
    monkeypatch.setattr(brotli, "compress", lambda *_, **__: pytest.fail("was compressed again"))
    for address in [*scripts(server), bundles.PLOTLY]:
        assert get(server, address, Accept_Encoding="br").headers["Content-Encoding"] == "br"


def test_only_the_page_of_a_known_feature_announces_that_it_will_draw(server: Flask) -> None:
    assert bundles.PLOTLY in get(server, "/feature/tiny-l0@texts/3").headers["Link"]
    for path in ("/", "/explorer", "/feature/unknown/3", "/feature/tiny-l0@texts/9999", "/feature/tiny-l0@texts/x"):
        assert "Link" not in get(server, path).headers


def test_a_script_with_its_version_in_the_name_is_compressed_and_kept_for_good(server: Flask) -> None:
    renderer = next(address for address in scripts(server) if "dash_renderer" in address)
    plain = get(server, renderer)
    small = get(server, renderer, Accept_Encoding="br, gzip")
    assert "immutable" in small.headers["Cache-Control"]
    assert small.headers["Content-Encoding"] == "br" and "Accept-Encoding" in small.headers["Vary"]
    assert brotli.decompress(small.data) == plain.data and len(small.data) < len(plain.data) / 3


def test_a_script_without_a_version_is_asked_for_again_and_not_sent_again(server: Flask) -> None:
    address = "/_dash-component-suites/dash_ag_grid/async-community.js"
    first = get(server, address, Accept_Encoding="br")
    assert first.headers["Cache-Control"] == "no-cache" and first.headers["Content-Encoding"] == "br"
    again = get(server, address, Accept_Encoding="br", If_None_Match=first.headers["ETag"])
    assert again.status_code == 304 and again.data == b""


def test_answers_that_change_are_compressed_but_not_kept(server: Flask) -> None:
    answer = get(server, "/_dash-layout", Accept_Encoding="br")
    assert answer.headers["Content-Encoding"] == "br"
    assert "immutable" not in answer.headers.get("Cache-Control", "")


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.example"}, {"Origin": "null"}]
)
def test_another_sites_page_cannot_write(server: Flask, headers: dict[str, str]) -> None:
    answer = server.test_client().post("/_dash-update-component", json={}, headers=headers)
    assert answer.status_code == 403
    assert "another site" in answer.get_json()["error"]


def test_this_sites_own_page_can_write(server: Flask) -> None:
    headers = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}
    assert server.test_client().post("/_dash-update-component", json={}, headers=headers).status_code != 403


def test_a_broken_request_is_answered_in_a_sentence_without_a_stack_trace(server: Flask) -> None:
    answer = server.test_client().post("/_dash-update-component", data="{", content_type="application/json")
    assert answer.status_code >= 400
    assert "Traceback" not in answer.text and "error" in answer.get_json()


def test_a_page_that_raises_shows_its_sentence(server: Flask) -> None:
    def layout(**_: str) -> None:
        raise FeatureNotFound(9, 4)

    assert "Feature 9 does not exist" in str(factory.with_words_for_errors(layout)())


def test_a_page_that_breaks_shows_calm_words_and_no_details(server: Flask) -> None:
    def layout(**_: str) -> None:
        raise ZeroDivisionError("secret")

    words = str(factory.with_words_for_errors(layout)())
    assert "cannot be shown" in words and "secret" not in words


def test_every_kind_of_page_that_links_are_built_for_is_registered(server: Flask) -> None:
    kinds = {urls.read(page["path"]).page for page in dash.page_registry.values() if page["path"] != "/not-found-404"}
    assert kinds >= set(urls.PAGE_KINDS) - {"feature"}
    templates = [page["path_template"] for page in dash.page_registry.values()]
    assert urls.explorer("<store>").replace("%3C", "<").replace("%3E", ">") in templates
