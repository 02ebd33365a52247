"""Tokens and names as figure text: whitespace made visible, long ones cut, safe as Plotly's pseudo-HTML."""

from html import escape

MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
_VISIBLE = str.maketrans({" ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍"})


def show_token(token: str, longest: int = 16) -> str:
    """A token with visible whitespace, at most `longest` characters (its middle is cut)."""
    return show_name(token.translate(_VISIBLE), longest) or "∅"


def show_name(name: str, longest: int) -> str:
    """A name as it is, at most `longest` characters (its middle is cut)."""
    if len(name) > longest:
        name = f"{name[: longest - 6]}…{name[-5:]}"
    return escape(name, quote=False)
