"""Between a label as the catalog keeps it and as pages show and edit it."""

from catalog.evidence import place_of
from catalog.label_text import Evidence, Label
from dashboard.components.label_words import LabelText


def text_of(label: Label | None) -> LabelText:
    """A saved label, or 'no label yet'."""
    if label is None:
        return LabelText()
    return LabelText(
        label.name,
        label.notes,
        label.author,
        label.version,
        label.created_at,
        label.category,
        label.confidence,
        place_of(label.evidence),
    )


def evidence_words(evidence: Evidence | None) -> str:
    """That place as a sentence's part; "" for nowhere."""
    if evidence is None:
        return ""
    position = "" if evidence.position is None else f", position {evidence.position:,}"
    return f"context {evidence.context:,}{position} of {evidence.store}"


def origin_words(label: Label | None) -> str:
    """Where a label comes from, unless somebody typed it."""
    if label is None or label.origin.kind == "typed":
        return ""
    origin = label.origin
    known = f" from feature {origin.feature} of another SAE" if origin.feature is not None else ""
    score = f", score {origin.score:.3f}" if origin.score is not None else ""
    return f"{origin.kind.capitalize()}{known}{score}{': ' + origin.detail if origin.detail else ''}"
