"""The frame of every panel: fixed heights while it loads, a note that says what was counted, words for every state."""

from collections.abc import Sequence
from typing import Any

from dash import html

Children = Any


def icon(name: str) -> html.Span:
    """A decorative icon of `assets/icons.css`; the control that holds it carries the accessible name."""
    return html.Span(className=f"icon icon-{name}", **{"aria-hidden": "true"})


def panel(
    title: Children,
    children: Children,
    *,
    note: Children = None,
    actions: Children = None,
    id: str | None = None,
    min_height: int | None = None,
    class_name: str = "",
) -> html.Section:
    """A titled panel.

    `note` says what was counted (exact or sampled, and n); `actions` are controls on the title's right; `min_height`
    in pixels is the body's height while it loads, so that nothing below it moves when the content arrives.
    """
    head: list[Children] = [html.H2(title, className="panel-title")]
    if note is not None:
        head.append(html.Div(note, className="panel-note"))
    if actions is not None:
        head.append(html.Div(actions, className="panel-actions"))
    style = {"minHeight": f"{min_height}px"} if min_height else None
    body = html.Div(children, className="panel-body", style=style)
    given = {"id": id} if id else {}
    return html.Section(
        [html.Header(head, className="panel-head"), body], className=f"panel {class_name}".strip(), **given
    )


def skeleton(height: int = 120, lines: int = 0) -> html.Div:
    """A placeholder of `height` pixels; with `lines`, grey text lines instead of one block."""
    bars = [html.Div(className="skeleton-line") for _ in range(lines)]
    kind = "skeleton skeleton-text" if lines else "skeleton"
    return html.Div(bars, className=kind, style={"minHeight": f"{height}px"}, **{"aria-hidden": "true"})


def empty_state(title: str, text: Children = None, *, action: Children = None, icon_name: str = "circle") -> html.Div:
    """Words where there is nothing to show: what is missing, why, and what to do about it."""
    parts: list[Children] = [icon(icon_name), html.P(title, className="empty-title")]
    if text is not None:
        parts.append(html.P(text, className="empty-text"))
    if action is not None:
        parts.append(html.Div(action, className="empty-action"))
    return html.Div(parts, className="empty-state", role="status")


def stat(label: str, value: str, *, unit: str = "", hint: str = "") -> html.Div:
    """One figure with its label; `hint` is the definition, shown on hover and read by screen readers."""
    words: list[Children] = [html.Span(value, className="stat-value num")]
    if unit:
        words += [" ", html.Span(unit, className="stat-unit")]
    return html.Div([html.Div(label, className="stat-label"), html.Div(words)], className="stat", title=hint or None)


def badge(text: str, kind: str = "neutral") -> html.Span:
    """A small state word; `kind`: neutral, accent, good, warning, bad, dead."""
    return html.Span(text, className=f"badge badge-{kind}")


def chip(text: str, *, title: str | None = None, class_name: str = "") -> html.Span:
    """A token or a category as a small box in monospace."""
    return html.Span(text, className=f"chip {class_name}".strip(), title=title)


def kbd(keys: str | Sequence[str]) -> html.Span:
    """Key caps: `kbd("j")` or `kbd(["Ctrl", "K"])`."""
    names = [keys] if isinstance(keys, str) else keys
    return html.Span([html.Kbd(name) for name in names], className="kbd")
