"""The newest labels of a store's features, and the Explorer's frame with them, read anew only after somebody saved one."""

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from catalog.labels import Label, Stamp, labels_of, stamp_of
from dashboard.context import catalog
from dashboard.explorer_frame import features_frame, with_labels
from loaders.store import Store

MOST = 8
"""SAEs whose labels, and stores whose frames, one worker keeps."""


class _Kept(NamedTuple):
    stamp: Stamp
    labels: Mapping[int, Label]
    frames: dict[Store, pd.DataFrame]


_kept: dict[tuple[str, str], _Kept] = {}


def known_labels(store: Store) -> Mapping[int, Label]:
    """The newest label of every labelled feature, by feature id; not to be changed."""
    return _read(store).labels


def labelled_frame(store: Store) -> pd.DataFrame:
    """One row per feature with its label (see `explorer_frame`); not to be changed."""
    kept = _read(store)
    frame = kept.frames.get(store)
    if frame is None:
        frame = with_labels(features_frame(store), kept.labels)
        kept.frames.clear()
        kept.frames[store] = frame
    return frame


def _read(store: Store) -> _Kept:
    key = catalog().url, store.sae_fingerprint
    stamp = stamp_of(catalog(), store.sae_fingerprint)  # before the labels: what is saved in between is read next time
    found = _kept.get(key)
    if found is None or found.stamp != stamp:
        found = _Kept(stamp, labels_of(catalog(), store.sae_fingerprint), {})
        while len(_kept) >= MOST:
            _kept.pop(next(iter(_kept)), None)
        _kept[key] = found
    return found
