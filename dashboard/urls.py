"""Every link of the site is built and read here, and nowhere else."""

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

PAGE_KINDS = ("home", "explorer", "feature", "labels", "training", "layers", "present")
PRESENTED = re.compile(r"([a-z0-9][a-z0-9._-]{0,79}):([1-9]\d{0,3})")  # `assets/presenter.js` reads it in the same way


class Place(NamedTuple):
    """Where a path leads: the page's kind ("" for an unknown page) and the ids that the path names."""

    page: str
    store: str | None = None
    feature: int | None = None
    set_id: str | None = None
    playlist: str | None = None


def _join(path: str, query: dict[str, object]) -> str:
    """Append the query parameters that are neither None nor empty."""
    kept = {key.rstrip("_"): str(value) for key, value in query.items() if value is not None and value != ""}
    return path + ("?" + urlencode(kept, safe="@:,", quote_via=quote) if kept else "")


def _part(text: object) -> str:
    return quote(str(text), safe="@")


def home() -> str:
    """The catalog of SAEs and the pipeline's state."""
    return "/"


def explorer(store: str | None = None, **query: object) -> str:
    """The feature table of a store; `q`, `sort`, `filter` and `box` restore a view (see `explorer_rows.View`)."""
    return _join("/explorer" if store is None else f"/explorer/{_part(store)}", query)


def feature(store: str, f: int, from_store: str | None = None, from_feature: int | None = None, **query: object) -> str:
    """One feature. `from_store` and `from_feature` ask the page for the feature of `store` that matches that one."""
    if from_store is not None and from_feature is not None:
        query = {"from": f"{from_store}:{from_feature}", **query}
    return _join(f"/feature/{_part(store)}/{int(f)}", query)


def labels(store: str | None = None, tab: str | None = None, **query: object) -> str:
    """What people say about a store's features; `tab` is one of `labels_view.TABS`."""
    return _join("/labels" if store is None else f"/labels/{_part(store)}", {"tab": tab, **query})


def training(runs: list[str] | None = None, **query: object) -> str:
    """The training curves, of the named runs or of all of them."""
    return _join("/training", {"runs": ",".join(runs) if runs else None, **query})


def layers(set_id: str | None = None, **query: object) -> str:
    """Features matched across the layers of a set."""
    return _join("/layers" if set_id is None else f"/layers/{_part(set_id)}", query)


def present(playlist: str | None = None) -> str:
    """The steps of a playlist, or all playlists."""
    return "/present" if playlist is None else f"/present/{_part(playlist)}"


def presented(href: str, playlist: str, step: int) -> str:
    """A view as one step (from 1) of a presentation: the same address, which says so in `present`."""
    path, _, search = view(href).partition("?")
    return _join(path, {**read_query(search), "present": f"{playlist}:{step}"})


def view(href: str) -> str:
    """The view that an address shows, on this site and outside of a presentation: path and query without `present`."""
    parts = urlsplit(href.strip())
    return _join(
        parts.path or "/", {name: value for name, value in read_query(parts.query).items() if name != "present"}
    )


def read_presented(search: str | None) -> tuple[str, int] | None:
    """Playlist and step of an address's search string; None outside of a presentation."""
    found = PRESENTED.fullmatch(read_query(search).get("present", ""))
    return (found[1], int(found[2])) if found else None


def api(*parts: object, **query: object) -> str:
    """A path of the HTTP interface: `api("stores", store, "features")`."""
    return _join("/".join(["/api/v1", *map(_part, parts)]), query)


def read(pathname: str | None) -> Place:
    """The place that a path names; a feature id that is no number reads as None."""
    parts = [unquote(part) for part in (pathname or "/").split("/") if part]
    if not parts:
        return Place("home")
    page, rest = parts[0], parts[1:]
    first = rest[0] if rest else None
    if page in ("explorer", "labels"):
        return Place(page, store=first)
    if page == "feature":
        number = rest[1] if len(rest) > 1 else ""
        return Place(page, store=first, feature=int(number) if _is_id(number) else None)
    if page == "layers":
        return Place(page, set_id=first)
    if page == "present":
        return Place(page, playlist=first)
    return Place(page if page in PAGE_KINDS else "")


def read_query(search: str | None) -> dict[str, str]:
    """The query parameters of a location's search string, the last one of each name."""
    return dict(parse_qsl((search or "").lstrip("?"), keep_blank_values=False))


def search_target(text: str, store: str | None) -> str | None:
    """Where the search box leads: a number to that feature, words to the filtered Explorer, nothing to nowhere."""
    text = text.strip()
    if not text or store is None:
        return None
    number = text.lstrip("#")
    return feature(store, int(number)) if _is_id(number) else explorer(store, q=text)


def switch_store(pathname: str | None, store: str, set_id: str | None) -> str:
    """The page of the same kind for another store; on a Feature page it asks for the matched feature."""
    place = read(pathname)
    if place.page == "feature" and place.store is not None and place.feature is not None:
        return feature(store, place.feature, from_store=place.store, from_feature=place.feature)
    if place.page == "layers":
        return layers(set_id)
    return labels(store) if place.page == "labels" else explorer(store)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
