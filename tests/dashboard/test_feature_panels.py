"""What the Feature page says in every state: numbers that the store vouches for, or the reason why there are none."""

import shutil

import numpy as np
import pytest
from scipy.sparse import csc_matrix

from dashboard import feature_panels as panels
from dashboard.feature_screen import step_links
from dashboard.feature_view import View
from loaders.memory import MemoryLoader
from loaders.store import Store


@pytest.fixture
def bare(store, tmp_path):
    """The same store while only its core has been published, with feature 0 dead."""
    shutil.copytree(
        store.directory, tmp_path / "bare", ignore=shutil.ignore_patterns("*.arrow", "*.offsets.npy", "idf*")
    )
    dense = np.zeros((store.samples, store.features), dtype=np.float32)
    found = store.activations(1)
    dense[found.indices, 1] = found.activations
    return Store(tmp_path / "bare", store.manifest, store.dataset, MemoryLoader(csc_matrix(dense)))


@pytest.fixture
def living(store):
    """The feature that fires most often."""
    return int(store.stats()["n"].to_numpy().argmax())


def words_of(component):
    return str(component)


def test_the_zero_count_is_said_in_words(store, living):
    facts, found = panels.facts_of(store, living), panels.strongest(store, living)
    content = panels.histogram_panel(store, living, facts, found, View())
    assert f"Zero on the other {store.samples - facts.n:,} of {store.samples:,} samples" in words_of(content.data)
    assert content.note == f"exact, {facts.n:,} firing samples"


def test_the_histogram_marks_the_five_examples_shown_beside_it(store, living):
    found = panels.strongest(store, living)
    figure = panels.histogram_figure(store, living, panels.facts_of(store, living), False, panels.peaks_of(found))
    assert list(figure.data[1].x) == [item.value for item in found.items]
    assert sum(figure.data[0].y) == len(store.activations(living).indices)


def test_a_dead_feature_says_so_in_every_panel_that_needs_activations(bare):
    sentence = f"This feature never fires in {bare.samples:,} samples."
    facts, found = panels.facts_of(bare, 0), panels.strongest(bare, 0)
    assert facts.is_dead
    assert sentence in words_of(panels.histogram_panel(bare, 0, facts, found, View()).data)
    assert panels.strongest_panel(facts, found).data["empty"] == sentence
    assert panels.band_panel(bare, 0, "40-60", 0).data["empty"] == sentence
    assert sentence in words_of(panels.categories_panel(bare, 0, "module").data)


def test_a_table_that_is_missing_while_the_pipeline_runs_is_said_to_be_on_its_way(bare):
    neighbours = panels.neighbours_panel(bare, 1, dict, View())
    _, influences = panels.influences_panel(bare, 1)
    tokens = panels.tokens_panel(bare, 1, "tfidf", False)
    assert "neighbours are still being computed" in neighbours.data["empty"]
    assert "influences are still being computed" in words_of(influences.data)
    assert "still being computed" in tokens.data["empty"]


def test_categories_need_no_table(bare):
    figure = panels.categories_panel(bare, 1, "module").data[0].children.figure
    assert sum(row[1] for row in figure.data[0].customdata) == len(bare.activations(1).indices)


def test_an_encoder_shows_its_nearest_input_tokens_under_that_name(store, living):
    title, content = panels.influences_panel(store, living)
    assert title == "Nearest input tokens"
    assert "promotes and suppresses no tokens" in words_of(content.data)


def test_a_band_draws_other_examples_with_another_seed_and_the_same_with_the_same(store, living):
    first, again, other = (panels.band_panel(store, living, "0-20", seed).data["items"] for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_neighbours_keep_the_readers_choices_in_their_links(store, living):
    rows = panels.neighbours_panel(store, living, dict, View(scale="log")).data["rows"]
    assert rows
    assert all(row[0]["href"] == f"/feature/{store.id}/{row[0]['id']}?scale=log" for row in rows)


def test_neighbours_without_a_label_show_their_strongest_tokens(store, living):
    rows = panels.neighbours_panel(store, living, dict, View()).data["rows"]
    shown = next(row[0] for row in rows if row[0]["tokens"])
    assert shown["tokens"][0] == store.top_tokens(shown["id"], 1)["token"].iloc[0]


def test_a_bigram_is_shown_as_its_two_tokens(store, living):
    data = panels.tokens_panel(store, living, "n", True).data
    best = store.top_tokens(living, 1, by="n", bigrams=True).iloc[0]
    assert data["rows"][0][0] == [store.dataset.vocab[i] for i in (best["previous_id"], best["token_id"])]


def test_a_random_feature_is_alive_and_another_one(store, living):
    counts = store.stats()["n"].to_numpy()
    reached = {int(step_links(store, living, View())["random"].split("/")[-1].split("?")[0]) for _ in range(300)}
    assert len(reached) > 1
    assert living not in reached
    assert all(counts[feature] > 0 for feature in reached)
