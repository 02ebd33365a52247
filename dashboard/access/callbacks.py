"""The mark of a callback that writes: it asks for its role inside of the function, whatever the request calls itself."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from dash import ctx
from dash.exceptions import PreventUpdate

from catalog.people import ROLES
from dashboard.access.visitor import may, require

F = TypeVar("F", bound=Callable[..., Any])


def requires(role: str) -> Callable[[F], F]:
    """Mark a callback that writes: it runs only for those who may.

    A page that opens asks each of its callbacks once, before anybody has clicked: that is answered with nothing.
    """
    if role not in ROLES:
        raise ValueError(f"Roles are {', '.join(ROLES)}: found '{role}'.")

    def mark(function: F) -> F:
        @functools.wraps(function)
        def guarded(*args: Any, **given: Any) -> Any:
            if not may(role) and not any(one["value"] for one in ctx.triggered):
                raise PreventUpdate
            require(role)
            return function(*args, **given)

        guarded.needs_role = role  # type: ignore[attr-defined]
        return cast(F, guarded)

    return mark
