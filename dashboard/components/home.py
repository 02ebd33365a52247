"""The Home page's panels: SAEs with their quality, the pipeline's progress, where to start."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from dash import dcc, html

from dashboard.components.blocks import badge, icon, panel
from dashboard.components.numbers import count, figures, percent, plural

STATUS_KINDS = {"running": "accent", "waiting": "neutral", "done": "good", "failed": "bad", "stopped": "warning"}
NEXT_SHOWN = 4
HEIGHT = 150  # of the pipeline's body while it has something to say


class Line(NamedTuple):
    """One row of the SAE table, ready to show; `href` is None until there is a store to open."""

    name: str
    href: str | None
    hook: str
    state: str
    is_ready: bool
    quality: dict[str, Any]
    features: int | None
    samples: int | None


def sae_table(title: str, note: str, lines: Sequence[Line]) -> html.Section:
    """The SAEs of one set; every figure with its definition on hover."""
    held_out = next((line.quality["held_out_samples"] for line in lines if line.quality.get("held_out_samples")), None)
    rows_counted = f" over {count(held_out)} held-out samples" if held_out else " over held-out samples"
    heads = (
        ("SAE", "", None),
        ("Hook point", "", None),
        ("FVU", "num", f"Fraction of variance unexplained{rows_counted}; lower is better"),
        ("Explained", "num", f"1 − FVU{rows_counted}"),
        ("L0", "num", "Features that fire per sample, on average"),
        ("Dead", "num", "Share of features that never fire on the dataset"),
        ("Features", "num", None),
        ("Samples", "num", "Token positions read, special tokens excluded"),
        ("State", "", None),
    )
    head = html.Thead(html.Tr([html.Th(words, className=kind, title=hint, scope="col") for words, kind, hint in heads]))
    body = html.Tbody([_sae_row(line) for line in lines])
    table = html.Div(html.Table([head, body], className="data-table home-saes"), className="scroll-x")
    return panel(title, table, note=f"{note}; FVU{rows_counted}", class_name="home-set")


def _sae_row(line: Line) -> html.Tr:
    name = dcc.Link(line.name, href=line.href, className="home-open") if line.href else html.Span(line.name)
    cells = (
        figures(line.quality.get("fvu")),
        percent(line.quality.get("explained_variance")),
        figures(line.quality.get("l0")),
        percent(line.quality.get("dead_share")),
        count(line.features) if line.features is not None else "–",
        count(line.samples) if line.samples is not None else "–",
    )
    state = badge(line.state, "good" if line.is_ready else "accent")
    return html.Tr(
        [
            html.Td(name),
            html.Td(line.hook, className="token-text"),
            *[html.Td(text, className="num") for text in cells],
            html.Td(state),
        ]
    )


class Step(NamedTuple):
    """One pipeline step, ready to show; `total` and `eta_seconds` are None while unknown."""

    title: str
    status: str
    done: int
    total: int | None
    unit: str
    note: str
    eta_seconds: float | None


def pipeline(steps: Sequence[Step]) -> html.Section:
    """Where the pipeline is: the step at work with its remaining time, the next ones, those that are done."""
    done = [step for step in steps if step.status == "done"]
    waiting = [step for step in steps if step.status == "waiting"]
    shown = [step for step in steps if step.status in ("running", "failed", "stopped")]
    status = _overall(steps)
    lines: list[Any] = [_progress(len(done), len(steps), "steps of the pipeline done")]
    lines += [_step(step) for step in shown]
    if waiting:
        names = ", ".join(step.title for step in waiting[:NEXT_SHOWN])
        more = f" and {len(waiting) - NEXT_SHOWN} more" if len(waiting) > NEXT_SHOWN else ""
        lines.append(html.P([html.Span("Waiting: ", className="muted"), f"{names}{more}"], className="home-next"))
    if done:
        names = html.Div("\n".join(step.title for step in done), className="home-done")
        lines.append(html.Details([html.Summary(f"{plural(len(done), 'step')} done"), names]))
    note = f"{count(len(done))} of {plural(len(steps), 'step')} done"
    body = html.Div(lines, className="stack home-steps")
    title, height = ["Pipeline ", badge(status, STATUS_KINDS[status])], None if status == "done" else HEIGHT
    return panel(title, body, note=note, min_height=height)


def _overall(steps: Sequence[Step]) -> str:
    statuses = {step.status for step in steps}
    return next(status for status in ("running", "failed", "stopped", "waiting", "done") if status in statuses)


def _step(step: Step) -> html.Div:
    counted = f"{count(step.done)} {step.unit}".strip()
    if step.total is not None:
        counted = f"{count(step.done)} of {count(step.total)} {step.unit}".strip()
    words = [counted] if step.total is not None or step.done else []
    if step.status == "running" and step.eta_seconds is not None:
        words.append(remaining(step.eta_seconds))
    head = [html.Span(step.title, className="home-step-title")]
    if step.status != "running":
        head.append(badge(step.status, STATUS_KINDS[step.status]))
    head.append(html.Span(", ".join(words), className="muted num"))
    bar = _progress(step.done, step.total, step.title) if step.status == "running" else None
    note = html.Div(step.note, className="home-step-note" if step.status == "running" else "") if step.note else None
    return html.Div([html.Div(head, className="row-gap"), bar, note], className=f"home-step is-{step.status}")


def _progress(done: int, total: int | None, words: str) -> html.Progress:
    known = {"value": str(min(done, total)), "max": str(total)} if total else {}
    return html.Progress(className="progress-line", **known, **{"aria-label": words})


def remaining(seconds: float) -> str:
    """The time left in words, coarser the longer it is: 'about 40 s left', 'about 3 min left'."""
    if seconds < 10:
        return "a few seconds left"
    if seconds < 90:
        return f"about {round(seconds / 5) * 5:.0f} s left"
    if seconds < 5_400:
        return f"about {round(seconds / 60):.0f} min left"
    return f"about {figures(seconds / 3600, 2)} h left"


def start_links(links: Sequence[tuple[str, str, str, str]]) -> html.Section:
    """Where to start: (icon, title, sentence, href)."""
    items = [
        dcc.Link(
            [icon(picture), html.Span([html.Strong(title), html.Span(sentence)])], href=href, className="home-link"
        )
        for picture, title, sentence, href in links
    ]
    return panel("Where to start", html.Div(items, className="home-links"))
