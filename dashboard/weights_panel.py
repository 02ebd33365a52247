"""The Layers page's look at an SAE's weights: distributions over its features, with what was counted."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import dash_bootstrap_components as dbc
import numpy as np
from dash import dcc, html

from analysis.weights import measure_weights
from dashboard.components import count, empty_state, figures, panel, percent, plural, skeleton
from dashboard.figures.theme import CONFIG
from dashboard.figures.weights import HEIGHT, Distribution, draw_distribution
from loaders.errors import LoupeError
from loaders.sae import SaeRecord
from loaders.weight_facts import DUPLICATE, FILE, WeightFacts, read_facts, weights_fingerprint
from loaders.workspace import Workspace

BODY_HEIGHT = HEIGHT + 100  # with titles and words
QUICK = 10**10  # features^2 x width that a page computes by itself, a fraction of a second


def weights_panel(saes: Sequence[str], chosen: str | None) -> html.Section:
    """The frame: which SAE's weights, and room for what `weights_body` makes."""
    select = dbc.Select(
        id="layers-weights-sae",
        options=[{"value": sae, "label": sae} for sae in saes],
        value=chosen if chosen in saes else saes[0],
        size="sm",
    )
    label = html.Label("SAE", htmlFor="layers-weights-sae")
    return panel(
        "Weights",
        html.Div(skeleton(BODY_HEIGHT), id="layers-weights"),
        note="of the SAE chosen, over all of its features (exact)",
        actions=html.Div([label, select], className="field weights-choice"),
        min_height=BODY_HEIGHT,
        class_name="span-12",
    )


def weights_body(workspace: Workspace, sae_id: str) -> Any:
    """Figures of an SAE's weights, or the sentence why there are none."""
    try:
        record = workspace.sae(sae_id)
        if not record.weights_path.is_file():
            words = "Only its activations were converted; import the SAE to look at its weights."
            return empty_state(f"The weights of {sae_id} are not in this workspace", words)
        facts = find_facts(workspace, record)
    except LoupeError as error:
        return empty_state(f"The weights of {sae_id[:80]} cannot be shown", str(error))
    if facts is None:
        words = ["Comparing all of its decoder directions takes a while, so it is done once: "]
        return empty_state(
            f"The weights of {sae_id} have not been measured yet", [*words, html.Code(f"loupe weights {sae_id}")]
        )
    return _figures(facts)


def find_facts(workspace: Workspace, record: SaeRecord) -> WeightFacts | None:
    """The facts kept beside the SAE, or those measured now where that is quick; None where it is not."""
    fingerprint = weights_fingerprint(record)
    kept = read_facts(workspace.file(f"saes/{record.id}/{FILE}"), fingerprint)
    if kept is not None:
        return kept
    features, width = (*record.shapes().get("W_dec", (0, 0)), 0, 0)[:2]
    return _measure(record.directory, fingerprint) if features**2 * width <= QUICK else None


@lru_cache(maxsize=16)
def _measure(directory: Any, fingerprint: str) -> WeightFacts:
    record = SaeRecord.open(directory)
    return measure_weights(record.id, record.tensors)


def _figures(facts: WeightFacts) -> html.Div:
    norms = [Distribution("decoder norm", facts.decoder_norm)]
    if facts.encoder_norm is not None:
        norms.append(Distribution("encoder norm", facts.encoder_norm))
    blocks = [_block("Norms", norms, "length of a feature's direction", _middles(norms))]
    if facts.encoder_decoder_cosine is not None:
        cosines = [Distribution("cosine", facts.encoder_decoder_cosine)]
        title = "cosine of encoder and decoder direction"
        blocks.append(_block("Encoder against decoder", cosines, title, _middles(cosines), limits=(0, 1)))
    nearest = [Distribution("cosine", facts.max_cosine)]
    duplicates = f"none of {count(facts.features)} features has another above {DUPLICATE:g}"
    if facts.near_duplicates:
        duplicates = (
            f"{count(facts.near_duplicates)} of {count(facts.features)} features have another above {DUPLICATE:g}"
            f" ({percent(facts.near_duplicates / max(facts.features, 1))}, {plural(facts.duplicate_pairs, 'pair')})"
        )
    title = "cosine to the nearest other direction"
    blocks.append(
        _block("Nearest decoder direction", nearest, title, duplicates, limits=(0, 1), mark=DUPLICATE, log=True)
    )
    for name, values in facts.biases.items():
        bias = [Distribution(name, values)]
        title = "threshold (activation)" if name == "threshold" else f"{name} (before the activation function)"
        blocks.append(_block(name, bias, title, _middles(bias), mark=0 if values.min(initial=0) < 0 else None))
    return html.Div([html.Div(blocks, className="weights-figures"), html.P(_words(facts), className="layers-words")])


def _block(title: str, found: Sequence[Distribution], x_title: str, words: str, **options: Any) -> html.Div:
    graph = dcc.Graph(
        figure=draw_distribution(found, x_title, **options), config=CONFIG, style={"height": f"{HEIGHT}px"}
    )
    return html.Div([html.H3(title, className="weights-title"), graph, html.P(words, className="layers-words")])


def _middles(found: Sequence[Distribution]) -> str:
    said = []
    for each in found:
        values = each.values[np.isfinite(each.values)]
        if values.size:
            low, middle, high = np.quantile(values.astype(np.float64), [0.05, 0.5, 0.95]).tolist()
            if figures(low) == figures(high):
                said.append(f"{each.name}: {figures(middle)}, 90 % alike")
            else:
                said.append(f"{each.name}: median {figures(middle)}, 90 % within {figures(low)} to {figures(high)}")
    return "; ".join(said)


def _words(facts: WeightFacts) -> str:
    wrong = {name: number for name, number in facts.nonfinite.items() if number}
    said = [f"{count(facts.features)} features, width {count(facts.width)}"]
    if facts.decoder_bias_norm is not None:
        said.append(f"decoder bias of norm {figures(facts.decoder_bias_norm)}")
    listed = ", ".join(f"{count(number)} in {name}" for name, number in wrong.items())
    said.append(f"values that are not finite: {listed or 'none'}")
    return " · ".join(said)
