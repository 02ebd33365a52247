"""The Layers page's recommendation: where an SAE is worth training, read from what `loupe layers` measured."""

from pathlib import Path
from shlex import quote
from typing import Any

import dash_ag_grid as dag
from dash import dcc, html

from dashboard.components import count, empty_state, figures, panel, percent
from dashboard.figures.advice import Score, draw_scores
from dashboard.figures.theme import CONFIG
from loaders.advice import Advice, AdvisedHook, advice_path, read_advice
from loaders.errors import LoupeError, StoreNotFound
from loaders.workspace import Workspace

HEIGHT = 430
MOST_WHOLE = 8  # hook points that the table shows whole; of more it scrolls
TITLE = "Where to train an SAE"
MEASURES = (
    ("norm_mean", "Norm", "Mean length of a row"),
    ("top_share", "Top 1", "Share of the variance in the first principal direction"),
    ("participation", "Directions", "Participation ratio: how many directions share the variance evenly"),
    ("token_eta2", "Token η²", "Share of the variance that the current token explains, corrected for small groups"),
    ("context_eta2", "Context η²", "Share of the variance that the context explains, corrected for small groups"),
    ("new", "New", "Share of the variance that the previous hook point does not have"),
)
SHARES = ("top_share", "token_eta2", "context_eta2", "new")


def advice_panel(workspace: Workspace, stores: list[str]) -> html.Section:
    """The recommendation for the model and the dataset of a set's stores; every state without one is a sentence."""
    manifest = workspace.manifests()[stores[0]]
    model_id, dataset = manifest.get("model_id"), str(manifest["dataset"])
    if not model_id or not manifest.get("has_weights", True):
        return _empty("No model to measure", ["This set was converted from activations; its model is not known here."])
    command = html.Code(_command(workspace, str(manifest.get("model") or model_id), dataset))
    try:
        advice = read_advice(advice_path(workspace, str(model_id), dataset))
    except StoreNotFound:
        words = ["One pass of the model over a sample of the dataset ranks its blocks, with the reasons: ", command]
        return _empty("Compare the hook points of this model", words)
    except LoupeError as error:
        return _empty("The recommendation cannot be read", [str(error)])
    prints = manifest.get("fingerprints") or {}
    if any(advice.fingerprints.get(kind) != prints.get(kind) for kind in ("model", "dataset")):
        words = ["It was measured on another version of the model or of the dataset. Measure again: ", command]
        return _empty("The recommendation is out of date", words)
    return _shown(advice, _trained(workspace, str(model_id)))


def _empty(title: str, words: list[Any]) -> html.Section:
    return panel(TITLE, empty_state(title, words, icon_name="layers"), class_name="span-12", id="layers-advice")


def _command(workspace: Workspace, model: str, dataset: str) -> str:
    """The command to type; a model that the workspace holds goes by its name, a workspace in its usual place by none."""
    name = Path(model).name
    known = name if (workspace.models_dir() / name / "config.json").is_file() else model
    place = "" if workspace.root == Path("workspace").resolve() else f" --workspace {quote(str(workspace.root))}"
    return f"loupe layers {quote(known)} --dataset {quote(dataset)}{place}"


def _trained(workspace: Workspace, model_id: str) -> dict[str, list[str]]:
    """Ids of the model's SAEs by hook point."""
    found: dict[str, list[str]] = {}
    for sae_id in workspace.sae_ids():
        try:
            about = workspace.sae(sae_id).metadata
        except LoupeError:  # the page of that SAE says what is wrong
            continue
        if about.get("model_id") == model_id:
            found.setdefault(str(about.get("hook_name")), []).append(sae_id)
    return found


def _shown(advice: Advice, trained: dict[str, list[str]]) -> html.Section:
    sample = advice.sample
    scores = [Score(found.hook, found.score, found.rank, found.parts) for found in advice.hooks]
    figure = dcc.Graph(
        id="layers-advice-scores", config=CONFIG, figure=draw_scores(scores, height=HEIGHT), style={"height": HEIGHT}
    )
    best = advice.ranked[0]
    begin = [
        "Begin at " if best.score > 0 else "None is worth an SAE as it is; the first is ",
        html.B(best.hook, className="token-text"),
        f". Score: {advice.score}",
    ]
    note = (
        f"{advice.model_id} over {advice.dataset}: {count(sample['samples'])} of {count(sample['of_samples'])} samples in"
        f" {count(sample['contexts'])} contexts (a sample, seed {sample['seed']})"
    )
    body = html.Div(
        [
            figure,
            advice_table(advice, trained),
        ],
        className="advice",
    )
    return panel(
        TITLE,
        [body, html.P(begin, className="layers-words")],
        note=note,
        min_height=HEIGHT,
        class_name="span-12",
        id="layers-advice",
    )


def advice_rows(advice: Advice, trained: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Rows of the table, best first."""
    return [
        {
            "rank": found.rank,
            "hook": found.hook,
            "saes": trained.get(found.hook, []),
            "score": f"{found.score:.3f}",
            "reasons": [reason._asdict() for reason in found.reasons],
            **{name: _words(found, name) for name, _, _ in MEASURES},
        }
        for found in advice.ranked
    ]


def _words(found: AdvisedHook, name: str) -> str:
    kept = found.measures.get("kept")
    value = (None if kept is None else 1 - kept) if name == "new" else found.measures.get(name)
    return percent(value) if name in SHARES else figures(value)


def advice_table(advice: Advice, trained: dict[str, list[str]]) -> dag.AgGrid:
    """One row for each hook point, with the reasons in words and the SAEs that are there already."""
    number = {"type": "rightAligned", "cellClass": "ag-right-aligned-cell num"}
    is_whole = len(advice.hooks) <= MOST_WHOLE
    columns: list[dict[str, Any]] = [
        {"field": "rank", "headerName": "#", "width": 38, **number},
        {"field": "hook", "headerName": "Hook point", "cellRenderer": "AdvisedHook", "width": 128, "wrapText": True},
        {"field": "score", "headerName": "Score", "width": 58, **number},
        {
            "field": "reasons",
            "headerName": "Why",
            "cellRenderer": "AdviceReasons",
            "valueFormatter": {"function": "params.value.map((reason) => reason.text).join('; ')"},
            "flex": 1,
            "minWidth": 260,
            "autoHeight": True,
        },
    ]
    columns += [
        {"field": name, "headerName": title, "headerTooltip": hint, "width": max(62, 18 + 7 * len(title)), **number}
        for name, title, hint in MEASURES
    ]
    return dag.AgGrid(
        id="layers-advice-table",
        rowData=advice_rows(advice, trained),
        columnDefs=columns,
        defaultColDef={"sortable": False, "resizable": True, "suppressHeaderMenuButton": True},
        getRowId="params.data.hook",
        dashGridOptions={
            "animateRows": False,
            "domLayout": "autoHeight" if is_whole else "normal",
            "suppressMovableColumns": True,
            "headerHeight": 30,
            "enableCellTextSelection": True,
            "ensureDomOrder": True,
            "tooltipShowDelay": 400,
        },
        className="compact-grid advice-grid",
        style={"height": None if is_whole else f"{HEIGHT}px", "width": "100%"},
    )
