"""What each panel of the Feature page shows: reads a store, hands on figures and data, or the reason why there are none."""

from collections.abc import Callable
from typing import Any, NamedTuple

import plotly.graph_objects as go
from dash import dcc, html

from dashboard import urls
from dashboard.components import count, figures, percent, plural
from dashboard.components.examples import band_note, examples_data, strongest_note
from dashboard.components.facts import facts_table
from dashboard.components.feature_header import Facts
from dashboard.components.neighbours import neighbour_table
from dashboard.components.token_table import token_table
from dashboard.feature_view import BANDS, View
from dashboard.figures.categories import MOST, draw_categories
from dashboard.figures.histogram import draw_histogram
from dashboard.figures.influences import draw_influences
from dashboard.figures.theme import CONFIG
from dashboard.weights import has_weights
from loaders.errors import TableMissing
from loaders.examples import Examples
from loaders.store import Store
from loaders.tables import GroupedTable

INFLUENCES = 13  # rows of the panel
STRONGEST, BAND_EXAMPLES, TOKENS, NEIGHBOUR_TOKENS = 5, 12, 25, 2
COMPUTED = {"neighbours": "neighbours", "influences": "influences", "idf": "token statistics", "tokens": "tokens"}
NO_WEIGHTS = "The SAE's weights are not in this workspace, so it is not known which tokens it promotes."


class Content(NamedTuple):
    """A panel's content: component properties or JSON, and the note of what was counted."""

    data: Any
    note: str = ""


def facts_of(store: Store, feature_id: int) -> Facts:
    """The figures of the page's head; raises FeatureNotFound."""
    row = store.feature(feature_id)
    return Facts(row["n"], store.samples, row["density"], row["max"], row["mean"], row["q50"], row["q75"])


def never_fires(facts: Facts) -> str:
    """The sentence of a dead feature."""
    return f"This feature never fires in {plural(facts.samples, 'sample')}."


def words(sentence: str) -> html.P:
    """A sentence in a panel's place."""
    return html.P(sentence, className="panel-words")


def computing(error: TableMissing) -> str:
    """What is said while a table is missing."""
    what = COMPUTED.get(error.table, error.table)
    return f"The {what} are still being computed; they appear here when the pipeline reaches them."


def graph(id: str, figure: go.Figure) -> html.Div:
    """A figure with the download button only, in a box that has its height before plotly.js has loaded."""
    height = {"height": f"{figure.layout.height}px"}
    return html.Div(dcc.Graph(id=id, figure=figure, config=CONFIG, style=height), className="figure-box", style=height)


def _caption(words: Any) -> html.P:
    return html.P(words, className="feature-caption")


def histogram_figure(store: Store, feature_id: int, facts: Facts, is_log: bool, peaks: list[float]) -> go.Figure:
    """Histogram with quartiles and the strongest examples (their activations are `peaks`) marked."""
    found = store.histogram(feature_id)
    marks = {f"median {figures(facts.median)}": facts.median, f"upper quartile {figures(facts.upper)}": facts.upper}
    return draw_histogram(found.edges, found.counts, log=is_log, marks=marks, examples=peaks)


def strongest(store: Store, feature_id: int) -> Examples:
    """The examples of the first screen."""
    return store.examples(feature_id, STRONGEST)


def peaks_of(examples: Examples) -> list[float]:
    """The activations of the examples, for the marks of the histogram."""
    return [item.value for item in examples.items]


def histogram_panel(store: Store, feature_id: int, facts: Facts, examples: Examples, view: View) -> Content:
    """The figure and the zero count in words."""
    if facts.is_dead:
        return Content(words(never_fires(facts)))
    figure = histogram_figure(store, feature_id, facts, view.scale == "log", peaks_of(examples))
    zeros = facts.samples - facts.n
    caption = [
        html.Span(f"Zero on the other {count(zeros)} of {count(facts.samples)} samples (not drawn)."),
        html.Span([html.Span(className="tick-key"), "examples beside"]),
    ]
    return Content(
        [graph("feature-histogram", figure), _caption(caption)], f"exact, {plural(facts.n, 'firing sample')}"
    )


def strongest_panel(facts: Facts, examples: Examples) -> Content:
    """The strongest contexts for tokens.js."""
    note = strongest_note(examples) if examples.items else ""
    return Content(examples_data(examples.items, facts.maximum, never_fires(facts)), note)


def band_panel(store: Store, feature_id: int, band: str, seed: int) -> Content:
    """Examples of one band of quantiles for tokens.js."""
    facts = facts_of(store, feature_id)
    quantiles = BANDS[band]
    examples = store.examples(feature_id, BAND_EXAMPLES, interval=quantiles, seed=seed)
    note = "" if facts.is_dead else band_note(examples, quantiles, facts.n)
    return Content(examples_data(examples.items, facts.maximum, never_fires(facts)), note)


def influences_panel(store: Store, feature_id: int) -> tuple[str, Content]:
    """Title and content: promoted and suppressed output tokens, or an encoder's nearest input tokens."""
    try:
        found = store.influences(feature_id)
    except TableMissing as error:
        return "Output tokens", Content(words(computing(error) if has_weights(store) else NO_WEIGHTS))
    figure = graph("feature-influences", draw_influences(found.rows, found.kind, INFLUENCES))
    if found.kind == "logits":
        caption = "Unembedding × decoder row: the direct path to the logits, an approximation."
        return "Promoted and suppressed output tokens", Content([figure, _caption(caption)], "logits")
    caption = "An encoder has no output head, so it promotes and suppresses no tokens."
    return "Nearest input tokens", Content([figure, _caption(caption)], "cosine of input embedding and decoder row")


def neighbours_panel(store: Store, feature_id: int, names: Callable[[], dict[int, str]], view: View) -> Content:
    """Table data of the nearest features, or the reason why there is none; `names` reads labels by feature id."""
    try:
        rows = store.neighbours(feature_id)
    except TableMissing as error:
        return Content({"columns": [], "rows": [], "sorted": None, "empty": computing(error)})
    tokens = strongest_tokens(store, [int(i) for i in rows["neighbour"]])
    data = neighbour_table(
        rows,
        names=names(),
        tokens=tokens,
        link=lambda neighbour: urls.feature(store.id, neighbour, **view.query()),
    )
    return Content(data, f"exact, over all {plural(store.features, 'feature')}" if len(rows) else "")


def strongest_tokens(store: Store, features: list[int]) -> dict[int, list[str]]:
    """The strongest tokens of the given features from the `tokens` table; empty while it is not there."""
    if not store.has("tokens"):
        return {}
    table, vocab = GroupedTable(store.directory, "tokens"), store.dataset.vocab
    return {
        feature: [vocab[i] for i in table.rows(feature)["token_id"].slice(0, NEIGHBOUR_TOKENS).to_pylist()]
        for feature in features
    }


def tokens_panel(store: Store, feature_id: int, rank: str, is_bigram: bool) -> Content:
    """Table data of the tokens or bigrams on which the feature fires."""
    try:
        rows = store.top_tokens(feature_id, TOKENS, by=rank, bigrams=is_bigram)
    except TableMissing as error:
        return Content({"columns": [], "rows": [], "sorted": None, "empty": computing(error)})
    noun = "bigram" if is_bigram else "token"
    shown = f"exact · the first {plural(len(rows), noun)}" if len(rows) else ""
    vocab = store.dataset.vocab
    ids = ["previous_id", "token_id"] if is_bigram else ["token_id"]
    names = [[vocab[i] for i in row] for row in rows[ids].to_numpy(dtype=int)]
    return Content(token_table(rows, names, rank), shown)


def categories_panel(store: Store, feature_id: int, column: str) -> Content:
    """Firing rates by category of a metadata column."""
    if column not in store.dataset.columns:
        return Content(words("This dataset has no metadata column to break down by."))
    facts = facts_of(store, feature_id)
    if facts.is_dead:
        return Content(words(never_fires(facts)))
    rows = store.breakdown(feature_id, column)
    figure = draw_categories(rows, facts.density)
    shown = f"{min(len(rows), MOST)} of {plural(len(rows), 'category', 'categories')}"
    caption = "Whiskers: Wilson 95 %, ordered by their lower ends. Dotted: all samples, "
    box = [graph("feature-category-rates", figure), _caption(f"{caption}{percent(facts.density)}.")]
    return Content(box, f"exact, zeros included · {shown}")


def facts_panel(store: Store, feature_id: int) -> dict[str, Any]:
    """Table data of everything that was counted about the feature's activations."""
    contexts = store.examples(feature_id, 0).population
    row = store.feature(feature_id)
    return facts_table(row, samples=store.samples, contexts=contexts, all_contexts=store.dataset.contexts)
