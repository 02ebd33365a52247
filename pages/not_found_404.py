"""The page for an address that leads nowhere."""

import dash
from dash import dcc, html

from dashboard import urls
from dashboard.components import empty_state

dash.register_page(__name__, title="Not found · Loupe")


def layout(**_: str) -> html.Div:
    """One sentence and a way back."""
    return html.Div(
        html.Section(
            empty_state(
                "There is no page at this address",
                "It may have been mistyped, or its store may have another name now.",
                action=dcc.Link("Go to Home", href=urls.home()),
                icon_name="search",
            ),
            className="panel",
        ),
        className="page",
    )
