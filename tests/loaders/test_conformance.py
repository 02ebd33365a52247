"""One suite for every backend: the same answers as the dense truth, on random stores."""

import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.serving import BaseWSGIServer, make_server

from catalog.catalog import Catalog
from dashboard.api_server import create_api_server
from loaders.batch_scan import BatchScanLoader
from loaders.csc import CscLoader
from loaders.errors import FeatureNotFound
from loaders.memory import MemoryLoader
from loaders.neuron_acts import NeuronActsLoader
from loaders.protocol import ActivationLoader
from loaders.remote import RemoteLoader
from loaders.transposed import TransposedLoader
from loaders.workspace import Workspace
from precompute import transpose
from precompute.contexts import TokenContext
from precompute.dataset_writer import write_dataset
from precompute.progress import Progress
from precompute.publish import publish
from precompute.sample_blocks import write_batch

STORE = "sae@words"


def open_csc(root: Path, matrix: sp.csr_array, batch_rows: int) -> ActivationLoader:
    workspace = write_batches(root, matrix, batch_rows)
    transpose.run(transpose.Config(STORE), workspace, Progress())
    return CscLoader(workspace.store_dir(STORE))


def open_batch_scan(root: Path, matrix: sp.csr_array, batch_rows: int) -> ActivationLoader:
    return BatchScanLoader(write_batches(root, matrix, batch_rows).store_dir(STORE))


def open_transposed(root: Path, matrix: sp.csr_array, batch_rows: int) -> ActivationLoader:
    workspace = write_batches(root, matrix, batch_rows)
    transpose.run(transpose.Config(STORE, dense=True), workspace, Progress())
    return TransposedLoader(workspace.store_dir(STORE))


def open_neuron_acts(root: Path, matrix: sp.csr_array, batch_rows: int) -> ActivationLoader:
    workspace = write_batches(root, matrix, batch_rows)
    transpose.run(transpose.Config(STORE, per_feature=True), workspace, Progress())
    return NeuronActsLoader(workspace.store_dir(STORE))


def open_memory(root: Path, matrix: sp.csr_array, batch_rows: int) -> ActivationLoader:
    return MemoryLoader(matrix)


def open_remote(root: Path, matrix: sp.csr_array, batch_rows: int) -> ActivationLoader:
    """The published store behind a real server, which stops when the loader is gone."""
    workspace = write_batches(root, matrix, batch_rows)
    transpose.run(transpose.Config(STORE), workspace, Progress())
    samples, features = matrix.shape
    spans = [(i, i + 1) for i in range(samples)]
    context = TokenContext([0] * samples, [False] * samples, spans, "a" * samples, {}, "one")
    write_dataset(workspace, "words", [context], [], ["a"], {"name": "letters"}, "Letters.", sampled=False)
    fingerprints = {"model": "none", "sae": "random", "dataset": workspace.dataset("words").fingerprint}
    shape = {"samples": samples, "features": features, "sae": "sae", "dataset": "words", "hook": "none"}
    publish(workspace.store_dir(STORE), {**shape, "fingerprints": fingerprints}, [])
    catalog = Catalog(workspace.catalog_url)
    running = make_server("127.0.0.1", 0, create_api_server(workspace, catalog=catalog), threaded=True)
    threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
    loader = RemoteLoader.at(f"http://127.0.0.1:{running.server_port}/api/v1/stores/{STORE}")
    weakref.finalize(loader, stop, running, catalog)
    return loader


def stop(running: BaseWSGIServer, catalog: Catalog) -> None:
    running.shutdown()
    running.server_close()
    catalog.close()


def write_batches(root: Path, matrix: sp.csr_array, batch_rows: int) -> Workspace:
    workspace = Workspace(root)
    directory = workspace.store_dir(STORE)
    (directory / "activations").mkdir(parents=True)
    for number, first in enumerate(range(0, matrix.shape[0], batch_rows)):
        write_batch(directory / "activations" / f"batch_{number:04d}.zarr", matrix[first : first + batch_rows], {})
    (directory / "harvest.json").write_text(f'{{"samples": {matrix.shape[0]}}}')
    return workspace


BACKENDS = [open_csc, open_batch_scan, open_transposed, open_neuron_acts, open_remote, open_memory]
Opener = Callable[[Path, sp.csr_array, int], ActivationLoader]


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=12, deadline=None)
@given(
    samples=st.integers(1, 60),
    features=st.integers(1, 20),
    density=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    batch_rows=st.integers(1, 70),
    seed=st.integers(0, 1000),
)
def test_every_backend_returns_the_dense_columns(
    tmp_path_factory, backend: Opener, samples, features, density, batch_rows, seed
):
    generator = np.random.default_rng(seed)
    dense = generator.uniform(0.1, 5, (samples, features)) * (generator.random((samples, features)) < density)
    dense = dense.astype(np.float32)
    loader = backend(tmp_path_factory.mktemp("store"), sp.csr_array(dense), batch_rows)
    assert loader.is_available
    for feature in range(features):
        found = loader.load(feature)
        wanted = np.flatnonzero(dense[:, feature])
        np.testing.assert_array_equal(found.indices, wanted)
        np.testing.assert_array_equal(found.activations, dense[wanted, feature])
        assert found.activations.dtype == np.float32


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("unknown", [-1, 3, 10**9])
def test_an_unknown_feature_is_refused_by_its_number(tmp_path, backend: Opener, unknown):
    loader = backend(tmp_path, sp.csr_array(np.eye(4, 3, dtype=np.float32)), 2)
    with pytest.raises(FeatureNotFound, match=str(unknown)):
        loader.load(unknown)


@pytest.mark.parametrize("backend", [CscLoader, BatchScanLoader, TransposedLoader, NeuronActsLoader, RemoteLoader])
def test_a_backend_without_files_is_not_available(tmp_path, backend):
    assert not backend(tmp_path).is_available
