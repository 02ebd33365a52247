"""The store's answers against the obvious slow computation from its own activations."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from loaders.errors import BadInput, FeatureNotFound, StoreDamaged, StoreNotFound, TableMissing
from loaders.rates import wilson_interval
from loaders.store import Store
from loaders.workspace import Workspace, slug
from precompute import publish, transpose, verify
from precompute.progress import Progress
from precompute.tables import tokens

FEATURES = range(0, 128, 17)


@pytest.fixture(scope="module")
def dense(store: Store) -> np.ndarray:
    """All activations [samples, features]."""
    full = np.zeros((store.samples, store.features), np.float32)
    for feature in range(store.features):
        found = store.activations(feature)
        full[found.indices, feature] = found.activations
    return full


@pytest.fixture
def copied(workspace: Workspace, tmp_path: Path) -> Workspace:
    """A workspace of its own to damage."""
    for kind in ("stores", "datasets", "saes"):
        shutil.copytree(workspace.root / kind, tmp_path / kind)
    return Workspace(tmp_path)


def test_stats_and_feature_agree_with_the_dense_matrix(store, dense):
    stats = store.stats().set_index("feature_id")
    for feature in FEATURES:
        column = dense[:, feature]
        fires = column[column > 0].astype(np.float64)
        for row in (stats.loc[feature], store.feature(feature)):
            assert row["n"] == len(fires)
            assert row["density"] == pytest.approx(len(fires) / len(column))
            if len(fires):
                assert row["max"] == pytest.approx(fires.max())
                assert row["mean"] == pytest.approx(fires.mean())
                assert row["std"] == pytest.approx(fires.std())
                assert row["q50"] == pytest.approx(np.median(fires), rel=1e-6)


def test_the_histogram_counts_every_sample_once(store, dense):
    for feature in FEATURES:
        found = store.histogram(feature, bins=13)
        assert found.zeros + found.counts.sum() == store.samples
        assert found.zeros == (dense[:, feature] == 0).sum()


def test_the_strongest_examples_are_one_per_context_in_order(store, dense):
    contexts, _ = store.dataset.locate(np.arange(store.samples))
    for feature in FEATURES:
        peaks = np.zeros(store.dataset.contexts)
        np.maximum.at(peaks, contexts, dense[:, feature])
        found = store.examples(feature, n=5)
        assert found.population == (peaks > 0).sum()
        assert [item.value for item in found.items] == pytest.approx(sorted(peaks, reverse=True)[: len(found.items)])
        assert len({item.context for item in found.items}) == len(found.items)


def test_an_example_holds_the_exact_text_and_every_activation_of_its_context(store, dense):
    item = store.examples(5, n=1).items[0]
    text = store.context(item.context).text
    assert "".join(item.pieces) == text
    first, last = store.dataset.sample_offsets[item.context : item.context + 2]
    values = dense[first:last, 5]
    assert item.values == pytest.approx(values[values > 0].tolist())
    assert item.values[item.active.index(item.position)] == pytest.approx(max(item.values))
    assert item.metadata["module"]


@pytest.mark.parametrize("interval", [(0.0, 0.2), (0.4, 0.6), (0.9, 1.0)])
def test_a_band_holds_only_values_between_its_population_quantiles(store, dense, interval):
    fires = np.sort(dense[:, 9][dense[:, 9] > 0])
    found = store.examples(9, n=8, interval=interval, seed=1)
    assert found.low >= np.quantile(fires, interval[0], method="lower")
    assert found.high <= np.quantile(fires, interval[1], method="higher")
    below = fires <= found.high if interval[1] == 1 else fires < found.high
    assert found.population == ((fires >= found.low) & below).sum()
    assert all(found.low <= item.value <= found.high for item in found.items)
    assert found.sampled == (found.population > len(found.items))
    again = store.examples(9, n=8, interval=interval, seed=1)
    assert [item.sample for item in again.items] == [item.sample for item in found.items]


@pytest.mark.parametrize("by", ["tfidf", "n", "mean", "lift"])
@pytest.mark.parametrize("bigrams", [False, True])
def test_token_rankings_agree_with_counting_one_by_one(store, dense, by, bigrams):
    feature, data = 3, store.dataset
    tokens = data.sample_tokens(np.arange(store.samples)).tolist()
    contexts, positions = (part.tolist() for part in data.locate(np.arange(store.samples)))
    before = [int(data.tokens[data.samples[s] - 1]) if positions[s] > 0 else None for s in range(store.samples)]
    keys = list(zip(before, tokens, strict=True)) if bigrams else [(None, token) for token in tokens]
    firing: dict[tuple, list[float]] = {}
    count: dict[tuple, int] = {}
    held: dict[tuple, set[int]] = {}
    for sample, key in enumerate(keys):
        count[key] = count.get(key, 0) + 1
        held.setdefault(key, set()).add(contexts[sample])
        if dense[sample, feature] > 0:
            firing.setdefault(key, []).append(float(dense[sample, feature]))
    frame = store.top_tokens(feature, n=12, by=by, bigrams=bigrams)
    assert frame[by].is_monotonic_decreasing
    share = (dense[:, feature] > 0).mean()
    for row in frame.to_dict("records"):
        key = (row["previous_id"] if bigrams else None, row["token_id"])
        assert row["n"] == len(firing[key])
        assert row["mean"] == pytest.approx(np.mean(firing[key]), rel=1e-5)
        assert row["rate"] == pytest.approx(len(firing[key]) / count[key])
        assert row["lift"] == pytest.approx(len(firing[key]) / count[key] / share)
        idf = np.log((data.contexts + 1) / (len(held[key]) + 1))
        assert row["tfidf"] == pytest.approx(len(firing[key]) * idf, rel=1e-5)


def test_an_unknown_ranking_is_refused(store):
    with pytest.raises(BadInput, match="alphabet"):
        store.top_tokens(3, by="alphabet")


def test_the_breakdown_table_agrees_with_the_live_one_and_counts_zeros(store, dense):
    for column in ("module", "kind"):
        stored = store.breakdown(4, column).set_index("category")
        live = store._live_breakdown(4, column).set_index("category")
        assert stored["samples"].sum() == store.samples
        for category in live.index:
            assert stored.loc[category, "n"] == live.loc[category, "n"]
            assert stored.loc[category, "sum"] == pytest.approx(live.loc[category, "sum"])
            low, high = stored.loc[category, ["rate_low", "rate_high"]]
            assert low <= stored.loc[category, "rate"] <= high


def test_the_wilson_interval_matches_published_values():
    low, high = wilson_interval(np.array([0, 10, 81]), np.array([20, 20, 263]))  # Newcombe 1998, table I
    np.testing.assert_allclose(low, [0.0, 0.2993, 0.2553], atol=2e-4)
    np.testing.assert_allclose(high, [0.1611, 0.7007, 0.3662], atol=2e-4)


def test_an_unknown_feature_names_the_range(store):
    with pytest.raises(FeatureNotFound, match="0 to 127"):
        store.feature(128)


@pytest.mark.parametrize("bad", ["nowhere@texts", "../../etc@x", "no-dataset", "a@b/../c"])
def test_an_unknown_or_malformed_store_is_one_sentence(workspace, bad):
    with pytest.raises(StoreNotFound):
        workspace.open_store(bad)


@pytest.mark.parametrize("file", ["features.zarr/data/c/0", "tables/stats.parquet", "harvest.json"])
@pytest.mark.parametrize("damage", ["missing", "longer"])
def test_a_store_with_a_missing_or_altered_file_does_not_open(copied, file, damage):
    path = copied.store_dir("tiny-l0@texts") / file
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(StoreDamaged, match=file):
        copied.open_store("tiny-l0@texts")


def test_a_flipped_byte_is_found_by_the_checksums(copied):
    from loaders.manifest import check_files, read_manifest

    directory = copied.store_dir("tiny-l0@texts")
    path = directory / "features.zarr/data/c/0"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    manifest = read_manifest(directory, "store")
    check_files(directory, manifest)
    with pytest.raises(StoreDamaged, match=r"features.zarr/data/c/0.*sha256"):
        verify.run(verify.Config(), copied, Progress())


def test_an_undamaged_workspace_verifies(copied):
    assert verify.run(verify.Config(), copied, Progress()) == copied.root


def test_index_pointers_that_were_overwritten_are_refused(copied):
    path = copied.store_dir("tiny-l0@texts") / "features.zarr/indptr/c/0"
    content = bytearray(path.read_bytes())
    content[8:16] = b"\xff" * 8
    path.write_bytes(content)
    with pytest.raises(StoreDamaged, match="consistent"):
        copied.open_store("tiny-l0@texts")


def test_an_unreadable_table_is_one_sentence(copied):
    path = copied.store_dir("tiny-l0@texts") / "tables/stats.parquet"
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(StoreDamaged, match="Table 'stats'"):
        copied.open_store("tiny-l0@texts").stats()


@pytest.mark.parametrize("content", ["[]", "{", '{"kind": "store", "schema_version": 1}'])
def test_a_wrong_manifest_is_refused_and_hides_no_other_store(copied, content):
    (copied.store_dir("tiny-l0@texts") / "manifest.json").write_text(content)
    with pytest.raises(StoreDamaged, match="manifest"):
        copied.open_store("tiny-l0@texts")
    assert copied.sets() == {"tiny": ["tiny-l1@texts"]}


def test_a_damaged_store_is_repaired_by_its_steps(copied):
    directory = copied.store_dir("tiny-l0@texts")
    wanted = (directory / "features.zarr/data/c/0").read_bytes()
    (directory / "features.zarr/data/c/0").unlink()
    (directory / "tables/tokens.arrow").unlink()
    transpose.run(transpose.Config("tiny-l0@texts"), copied, Progress())
    tokens.run(tokens.Config("tiny-l0@texts"), copied, Progress())
    publish.run(publish.Config("tiny-l0@texts"), copied, Progress())
    assert (directory / "features.zarr/data/c/0").read_bytes() == wanted
    assert copied.open_store("tiny-l0@texts").top_token_names()
    verify.run(verify.Config(), copied, Progress())


def test_what_does_not_exist_in_a_store_is_refused(store):
    for ask in (lambda: store.context(-1), lambda: store.context(10**7), lambda: store.example(1, 10**9)):
        with pytest.raises(BadInput, match="does not exist"):
            ask()


def test_touching_bands_share_no_sample(store):
    bands = [store.examples(9, n=0, interval=(low / 5, (low + 1) / 5)).population for low in range(5)]
    assert sum(bands) == store.feature(9)["n"]


def test_a_store_of_a_swapped_dataset_does_not_open(copied):
    manifest = copied.dataset_dir("texts") / "manifest.json"
    manifest.write_text(manifest.read_text().replace(copied.dataset("texts").fingerprint, "0" * 64))
    with pytest.raises(StoreDamaged, match="another version of dataset"):
        copied.open_store("tiny-l0@texts")


def test_a_store_is_opened_again_when_its_manifest_changed(copied):
    before = copied.open_store("tiny-l0@texts")
    assert copied.open_store("tiny-l0@texts") is before
    tables = sorted(before.manifest["tables"])
    publish.publish(copied.store_dir("tiny-l0@texts"), None, tables)
    after = copied.open_store("tiny-l0@texts")
    assert after.generation == before.generation + 1
    assert after.fingerprint == before.fingerprint


def test_a_table_that_is_not_there_yet_says_so(copied):
    directory = copied.store_dir("tiny-l0@texts")
    store = Store.open(directory, copied.root / "datasets")
    (directory / "tables/neighbours.arrow").unlink()
    with pytest.raises(TableMissing, match="neighbours"):
        store.neighbours(0)


def test_every_loader_serves_the_same_store(workspace, store):
    scan = Store.open(store.directory, workspace.root / "datasets", loader="batch_scan")
    for feature in FEATURES:
        np.testing.assert_array_equal(scan.activations(feature).indices, store.activations(feature).indices)
        np.testing.assert_array_equal(scan.activations(feature).activations, store.activations(feature).activations)


def test_slugs_keep_letters_digits_dots_and_dashes():
    assert slug("OpenAI/GPT 2_xl") == "openai-gpt-2_xl"
    with pytest.raises(BadInput, match="no letter or digit"):
        slug("///")
