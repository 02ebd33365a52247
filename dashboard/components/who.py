"""Who is here: the name field of a desk without accounts, or the person with the way out; the read-only banner."""

from dash import dcc, html

from dashboard.components.blocks import icon


def typed_name() -> html.Div:
    """The field whose name signs the labels that are saved from this browser."""
    return html.Div(
        [
            html.Label([icon("person"), html.Span("Name", className="visually-hidden")], htmlFor="shell-author"),
            _name_field(),
        ],
        className="top-author",
        title="Signs the labels that you save from this browser",
    )


def who_am_i(shown: str, role: str, csrf: str) -> html.Div:
    """Name and role; `csrf` (empty where one cannot log out here) goes with the log-out."""
    named = html.A(
        [icon("person"), html.Span(shown, className="top-who-name")],
        href="/account",
        title=f"{shown}: {role}. Account and password",
        className="top-who-link",
    )
    out = html.Form(
        [
            dcc.Input(type="hidden", name="csrf_token", value=csrf),
            html.Button("Log out", type="submit", className="button", title="Ends your sessions everywhere"),
        ],
        action="/logout",
        method="POST",
    )
    parts = [named, html.Span(role, className="badge"), *([out] if csrf else []), _unseen()]
    return html.Div(parts, className="top-who")


def guest(may_log_in: bool) -> html.Div:
    """Somebody without a name: the way to the log-in where there are accounts."""
    way = [html.A("Log in", href="/login", className="button")] if may_log_in else []
    return html.Div([*way, _unseen()], className="top-who")


def _unseen() -> html.Div:
    return html.Div(_name_field(), hidden=True)  # the label editor's callbacks write to it


def read_only_banner() -> html.P:
    """A calm line above every page of a server that changes nothing."""
    return html.P(
        [
            icon("lock"),
            html.Span("Read-only: look at everything. Labels and settings cannot be changed here."),
        ],
        className="read-only-banner",
        role="note",
    )


def _name_field() -> dcc.Input:
    return dcc.Input(
        id="shell-author",
        type="text",
        placeholder="Your name",
        maxLength=80,
        debounce=True,
        persistence=True,
        persistence_type="local",
        autoComplete="off",
        className="top-author-input",
    )
