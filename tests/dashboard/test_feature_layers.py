"""Arriving from another layer: at the matched feature, or back where one was with a sentence."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dashboard import urls
from dashboard.feature_layers import arrive, layer_switch
from loaders.schema import FLOWS
from loaders.workspace import Workspace
from precompute.publish import list_files, write_json

FIRST, SECOND = "tiny-l0@texts", "tiny-l1@texts"
LINKED, LONELY, UNMATCHED = 3, 5, 8
THRESHOLD = 0.2


@pytest.fixture(scope="module")
def shifted(workspace, tmp_path_factory):
    """The same stores, matched so that the partner of f is f + 1: one below the threshold, one missing."""
    root = tmp_path_factory.mktemp("shifted")
    for kind in ("datasets", "saes", "stores"):
        (root / kind).symlink_to(workspace.root / kind)
    directory = root / "layers" / "tiny"
    directory.mkdir(parents=True)
    features = workspace.open_store(FIRST).features
    rows = [
        {
            "side": "source",
            "feature_id": f,
            "fate": "persist",
            "partner": -1 if f == UNMATCHED else (f + 1) % features,
            "pearson": 0.01 if f == LONELY else 0.83,
        }
        for f in range(features)
    ]
    pq.write_table(
        pa.Table.from_pandas(pd.DataFrame(rows), FLOWS, preserve_index=False), directory / "flows_0_1.parquet"
    )
    members = [{"store": FIRST}, {"store": SECOND}]
    pairs = [{"source": 0, "target": 1, "threshold": THRESHOLD}]
    manifest = {"schema_version": 1, "kind": "layers", "id": "tiny", "members": members, "pairs": pairs}
    write_json(directory / "manifest.json", {**manifest, "shared_basis": False, "files": list_files(directory, {})})
    return Workspace(root)


def words_of(arrival):
    return "".join(part if isinstance(part, str) else str(part.children) for part in arrival.words)


def arrive_at(workspace, store, feature, **query):
    return arrive(workspace, workspace.open_store(store), feature, query)


def test_a_match_that_was_asked_for_leads_to_the_partner(shifted):
    arrival = arrive_at(shifted, SECOND, LINKED, **{"from": f"{FIRST}:{LINKED}"})
    assert arrival.redirect == urls.feature(SECOND, LINKED + 1, FIRST, LINKED)


def test_the_partners_page_says_where_it_was_matched_from(shifted):
    arrival = arrive_at(shifted, SECOND, LINKED + 1, **{"from": f"{FIRST}:{LINKED}"})
    assert arrival.redirect is None
    assert words_of(arrival) == f"Matched from tiny-l0 #{LINKED}, Pearson 0.830."


@pytest.mark.parametrize("feature", [LONELY, UNMATCHED])
def test_without_a_match_one_is_led_back(shifted, feature):
    arrival = arrive_at(shifted, SECOND, feature, **{"from": f"{FIRST}:{feature}"})
    assert arrival.redirect == urls.feature(FIRST, feature, unmatched=SECOND)


def test_back_on_the_page_one_is_told_why(shifted):
    below = words_of(arrive_at(shifted, FIRST, LONELY, unmatched=SECOND))
    assert below.startswith(f"No feature of tiny-l1 fires with this one more than chance does (best: #{LONELY + 1}")
    nothing = words_of(arrive_at(shifted, FIRST, UNMATCHED, unmatched=SECOND))
    assert nothing.startswith("No feature of tiny-l1 fires together with this one.")


def test_while_the_layers_are_not_matched_one_is_told_so(workspace, tmp_path):
    for kind in ("datasets", "saes", "stores"):
        (tmp_path / kind).symlink_to(workspace.root / kind)
    words = words_of(arrive_at(Workspace(tmp_path), FIRST, LINKED, unmatched=SECOND))
    assert words.startswith("tiny-l1 has not been matched with tiny-l0 yet.")


@pytest.mark.parametrize("source", ["", "nonsense", "no-such@texts:3", f"{FIRST}:99999", f"{FIRST}:x", f"{SECOND}:1"])
def test_a_source_that_cannot_be_is_passed_over(shifted, source):
    arrival = arrive_at(shifted, SECOND, 3, **{"from": source})
    assert (arrival.words, arrival.redirect) == ([], None)


def test_a_store_that_cannot_be_is_passed_over(shifted):
    assert arrive_at(shifted, FIRST, 3, unmatched="no-such@texts").words == []


def test_the_switch_shows_every_layer_in_order_with_its_partner(shifted):
    here, there = layer_switch(shifted, shifted.open_store(FIRST), LINKED, {"scale": "log"})
    assert (here.name, here.is_here, there.name, there.is_here) == ("tiny-l0", True, "tiny-l1", False)
    assert there.words == f"#{LINKED + 1} · 0.83"
    assert there.href == urls.feature(SECOND, LINKED + 1, FIRST, LINKED, scale="log")


def test_a_layer_without_a_match_leads_back_with_the_question(shifted):
    _, there = layer_switch(shifted, shifted.open_store(FIRST), LONELY, {})
    assert there.words == "no match"
    assert there.href == urls.feature(FIRST, LONELY, unmatched=SECOND)
