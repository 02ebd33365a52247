"""What the Labels page is made of: progress, tabs, buttons that ask the server for something."""

from typing import Any, Protocol

from dash import dcc, html

from dashboard.components.blocks import icon
from dashboard.components.numbers import count, percent


class ProgressLike(Protocol):
    """What is shown of `dashboard.labelling.Progress`."""

    @property
    def features(self) -> int: ...
    @property
    def alive(self) -> int: ...
    @property
    def labelled(self) -> int: ...
    @property
    def mass(self) -> float: ...
    @property
    def labelled_mass(self) -> float: ...


def progress_lines(found: ProgressLike, samples: int, dataset: str) -> html.Div:
    """How much is labelled, of the features that fire and of what they fire, each with what was counted."""
    dead = found.features - found.alive
    return html.Div(
        [
            _share(
                "features labelled",
                found.labelled / found.alive if found.alive else 0.0,
                f"{count(found.labelled)} of {count(found.alive)} that fire",
                f"Exact. {count(dead)} of {count(found.features)} features never fire and are not counted.",
            ),
            _share(
                "activation mass labelled",
                found.labelled_mass / found.mass if found.mass else 0.0,
                "of the sum of all activations",
                f"Exact: the activations of labelled features, added up over all {count(samples)} samples of {dataset}, "
                "as a share of those of all features.",
            ),
        ],
        className="labels-progress",
    )


def _share(words: str, share: float, note: str, hint: str) -> html.Div:
    return html.Div(
        [
            html.Div(
                [
                    html.Span(percent(share), className="stat-value num"),
                    f" {words}",
                    html.Span(note, className="muted num"),
                ],
                className="share-words",
            ),
            html.Div(
                className="share-bar",
                style={"--share": f"{share:.4f}"},
                role="img",
                **{"aria-label": f"{percent(share)} {words}"},
            ),
        ],
        className="share",
        title=hint,
    )


def tabs(links: dict[str, tuple[str, bool]]) -> html.Nav:
    """The tabs as links: words -> (address, whether it is the one that is shown)."""
    return html.Nav(
        [
            dcc.Link(words, href=href, className="page-tab is-current" if is_here else "page-tab")
            for words, (href, is_here) in links.items()
        ],
        className="page-tabs",
        **{"aria-label": "Parts of this page"},
    )


def ask(
    words: Any, do: str, *, icon_name: str = "", sure: str = "", is_primary: bool = False, **data: Any
) -> html.Button:
    """A button that asks the server to `do` something with `data` (and the fields of its form); `sure` is asked before.

    Those who may only look do not see it.
    """
    children = [icon(icon_name), words] if icon_name else words
    given = {f"data-{key}": str(value) for key, value in data.items()}
    return html.Button(
        children,
        className="button writes button-primary" if is_primary else "button writes",
        type="button",
        **{"data-do": do, **({"data-sure": sure} if sure else {}), **given},
    )


def feature_name(href: str, feature: int, name: str, tokens: list[str]) -> dcc.Link:
    """A feature by its number and its label, or by its top tokens where it has none."""
    words = (
        [html.Span(name, className="feature-link-name")] if name else [html.Span(t, className="chip") for t in tokens]
    )
    return dcc.Link(
        [html.Span(f"#{feature}", className="feature-link-id num"), *words], href=href, className="feature-link"
    )
