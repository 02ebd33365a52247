"""The Home page's panel of a hub: what it has, what of it is here, and the command that brings the rest."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from dash import html

from dashboard.components.blocks import badge, empty_state, icon, panel, skeleton
from dashboard.components.numbers import count, figures, plural

TITLE = "Hub"
HEIGHT = 120  # of the body while the hub has not answered
STATES = {
    "here": ("in this workspace", "good"),
    "partly": ("partly here", "accent"),
    "another": ("another of its id is here", "warning"),
    "absent": ("not here", "neutral"),
}
HEADS = (
    ("Artifact", "", "The newest version of each"),
    ("Kind", "", None),
    ("Model", "", None),
    ("License", "", None),
    ("Tags", "", None),
    ("Size", "num", "Of its own files; what it depends on comes beside them"),
    ("State", "", "Told by fingerprints"),
    ("To pull it", "", None),
)


UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


class Offer(NamedTuple):
    """One artifact, ready to show: `shown` is the command's beginning, `command` what is copied."""

    name: str
    version: str
    description: str
    kind: str
    model: str
    license: str
    tags: str
    size: int
    state: str
    shown: str
    command: str


def hub_panel(
    offers: Sequence[Offer], total: int, place: str, warning: str | None, faults: Sequence[str]
) -> html.Section:
    """The newest artifacts; `warning` where the list is an old one, `faults` what had to be passed over."""
    head = html.Thead(html.Tr([html.Th(words, className=kind, title=hint, scope="col") for words, kind, hint in HEADS]))
    body = html.Tbody([_row(offer) for offer in offers])
    parts: list[Any] = [html.Div(html.Table([head, body], className="data-table hub-offers"), className="scroll-x")]
    if warning:
        parts.insert(0, html.P([icon("warning"), html.Span(warning)], className="hub-warning", role="status"))
    if faults:
        listed = html.Ul([html.Li(fault) for fault in faults[:5]], className="hub-faults")
        parts.append(html.Details([html.Summary(f"{plural(len(faults), 'artifact')} passed over"), listed]))
    shown = f"the {len(offers)} newest of " if total > len(offers) else ""
    note = f"{shown}{plural(total, 'artifact')} in {place}"
    more = [html.Code("loupe hub list"), " shows all"] if total > len(offers) else None
    return panel(TITLE, parts, note=note, actions=html.Span(more, className="muted hub-more") if more else None)


def _row(offer: Offer) -> html.Tr:
    words, kind = STATES[offer.state]
    name = html.Td(
        [html.Strong(offer.name), f" {offer.version}"], title=offer.description or None, className="hub-name"
    )
    cells = (offer.kind, offer.model, offer.license)
    pull = [
        html.Code(offer.shown),
        html.Button(
            icon("copy"), className="icon-button hub-copy", title=offer.command,
            **{"data-copy": offer.command, "aria-label": f"Copy the command that pulls {offer.name}"},
        ),
    ]  # fmt: skip
    return html.Tr(
        [
            name,
            *[html.Td(text) for text in cells],
            html.Td(offer.tags, className="hub-tags"),
            html.Td(size_in_words(offer.size), className="num"),
            html.Td(badge(words, kind)),
            html.Td(pull if offer.state != "here" else "–", className="hub-pull"),
        ]
    )


def hub_waiting(place: str, waited: float) -> html.Section:
    """While the hub has not answered; after a while with words."""
    if waited < 3:
        return panel(TITLE, skeleton(HEIGHT, lines=4), note=place, min_height=HEIGHT)
    words = f"No answer for {waited:.0f} s. This page does not wait for it; the list appears here when it comes."
    return panel(TITLE, empty_state("The hub is slow", words, icon_name="clock"), note=place, min_height=HEIGHT)


def hub_failed(place: str, error: str) -> html.Section:
    """When the hub cannot be read, and never could."""
    state = empty_state("The hub cannot be read", error, icon_name="warning")
    return panel(TITLE, state, note=place, min_height=HEIGHT)


def hub_empty(place: str, command: str, faults: Sequence[str]) -> html.Section:
    """When nothing has been pushed yet, or nothing that can be used."""
    if faults:
        words: Any = [html.P(fault) for fault in faults[:5]]
        state = empty_state("Nothing in the hub can be used", words, icon_name="warning")
    else:
        state = empty_state("The hub is empty", ["Share an SAE with ", html.Code(command), "."], icon_name="layers")
    return panel(TITLE, state, note=place, min_height=HEIGHT)


def size_in_words(size: float) -> str:
    """Bytes with three significant digits and a unit: 68713590 -> '65.5 MiB'."""
    unit = 0
    while size >= 1000 and unit < len(UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{figures(size) if unit else count(size)} {UNITS[unit]}"
