"""Logit weights of features, W_U @ W_dec[f]: promoted and suppressed tokens, and their histogram over the vocabulary."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from analysis.neuronpedia import bars
from analysis.ranking import top_per_row
from loaders.errors import BadInput
from loaders.manifest import is_published, read_manifest
from loaders.store import Store
from loaders.workspace import Workspace
from precompute.neuronpedia.fields import short

LOGITS = "logits"
PACKAGED = "minilm"
BLOCK_CELLS = 1 << 23


class Head(Protocol):
    """Where a feature's logit weights come from."""

    block: int

    def fields(self, first: int, stop: int, k: int, bins: int) -> list[dict[str, Any]]:
        """The logit fields of the features `first` to `stop` - 1, with `k` tokens at each end."""
        ...


class Recomputed:
    """From the model itself: `weights` float32 [tokens, width] as `precompute.readout` folds them."""

    def __init__(
        self, decoder: npt.NDArray[np.float32], weights: npt.NDArray[np.float32], vocabulary: list[str]
    ) -> None:
        self._decoder, self._weights, self.vocabulary = decoder, weights, vocabulary
        self.block = max(BLOCK_CELLS // len(weights), 1)

    def logits(self, first: int, stop: int) -> npt.NDArray[np.float32]:
        """Logit weights of the features `first` to `stop` - 1 on every token: float32 [features, tokens]."""
        values: npt.NDArray[np.float32] = self._decoder[first:stop] @ self._weights.T
        return values

    def fields(self, first: int, stop: int, k: int, bins: int) -> list[dict[str, Any]]:
        values = self.logits(first, stop)
        k = min(k, values.shape[1] // 2)
        best, worst = top_per_row(values, k), top_per_row(-values, k)
        found = []
        for row, up, down in zip(values, best, worst, strict=True):
            heights, centres = bars(row, bins)
            ends = _ends([(self.vocabulary[i], row[i]) for i in up], [(self.vocabulary[i], row[i]) for i in down])
            found.append(
                {
                    **ends,
                    "logits_hist_data_bar_heights": heights.tolist(),
                    "logits_hist_data_bar_values": centres.tolist(),
                }
            )
        return found


class Tabled:
    """From the store's table `influences`: both ends of the list, without the histogram over all tokens."""

    block = 256

    def __init__(self, store: Store) -> None:
        self._store = store

    def fields(self, first: int, stop: int, k: int, bins: int) -> list[dict[str, Any]]:
        found = []
        for feature in range(first, stop):
            rows = self._store.influences(feature).rows
            pairs = list(zip(rows["token"].tolist(), rows["value"].tolist(), strict=True))
            k = min(k, len(pairs) // 2)
            found.append(_ends(pairs[:k], pairs[::-1][:k]))
        return found


def _ends(promoted: list[tuple[str, float]], suppressed: list[tuple[str, float]]) -> dict[str, Any]:
    return {
        "pos_str": [token for token, _ in promoted],
        "pos_values": [short(value) for _, value in promoted],
        "neg_str": [token for token, _ in suppressed],
        "neg_values": [short(value) for _, value in suppressed],
    }


def read_head(
    workspace: Workspace, store: Store, decoder: npt.NDArray[np.float32] | None, model: str | None
) -> tuple[Head | None, str | None]:
    """Where logit weights come from, and in words what is not known about them.

    `model` is a folder or hub id; without it the store's own model is read where it lies on this machine. Raises BadInput
    for a model whose weights are not those that the store was made with.
    """
    if store.has("influences") and store.influences(0).kind != LOGITS:
        return None, "logits: the model has no output head"
    name = model or model_here(workspace, store)
    if name is not None and decoder is not None:
        return _recomputed(store, decoder, name)
    why = "the SAE's weights are not here" if decoder is None else "the model is not here (name it with --model)"
    if store.has("influences"):
        return Tabled(store), f"histogram of logits: {why}"
    return None, f"logits: {why}"


def model_here(workspace: Workspace, store: Store) -> str | None:
    """The store's model as it can be read without a network: a packaged one, or the folder that the store, its captured
    activations or models/ name."""
    own = str(store.manifest.get("model_id") or "none")
    named = [str(store.manifest.get("model") or ""), str(workspace.models_dir() / own)]
    captured = workspace.activations_dir(own, store.dataset.id, store.hook)
    if is_published(captured):
        named.append(str(read_manifest(captured, "activations").get("model") or ""))
    if PACKAGED in named:
        return PACKAGED
    return next((folder for folder in named if folder and (Path(folder) / "config.json").is_file()), None)


def model_folder(name: str | None) -> Path | None:
    """The folder of what `model_here` found; None where nothing was, or the package is not installed."""
    if name != PACKAGED:
        return Path(name) if name else None
    try:
        from precompute.models import find_model

        return Path(find_model(name))
    except (ImportError, BadInput):
        return None


def _recomputed(store: Store, decoder: npt.NDArray[np.float32], name: str) -> tuple[Head | None, str | None]:
    try:
        from precompute.models import find_model, fingerprint_weights, weight_files
        from precompute.readout import read_readout
    except ImportError as error:
        raise BadInput(f"Logits need PyTorch ({error}). Install Loupe with `pip install -e .[train]`.") from error
    found = fingerprint_weights(weight_files(find_model(name)))
    if found != store.manifest["fingerprints"].get("model"):
        raise BadInput(f"'{name}' is not the model that store '{store.id}' was made with: its weights differ.")
    kind, weights = read_readout(name)
    if kind != LOGITS:
        return None, "logits: the model has no output head"
    weights = weights[: len(store.dataset.vocab)]  # some heads are padded
    if weights.shape[1] != decoder.shape[1]:
        return None, f"logits: hook point '{store.hook}' does not write into the residual stream"
    return Recomputed(decoder, weights, store.dataset.vocab), None
