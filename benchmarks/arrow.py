"""The Arrow endpoint of `loupe api` with one worker: megabytes per second over loopback, and 32 clients at once."""

import argparse
import http.client
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.result import write_result
from loaders.csc import CscLoader
from loaders.remote import RemoteLoader
from loaders.workspace import Workspace
from precompute.contexts import TokenContext
from precompute.dataset_writer import write_dataset
from precompute.publish import publish
from precompute.raw import create_group, write_raw

STORE = "one@counts"
SAMPLES = 1_000_000
CONTEXT = 1_000  # tokens
REQUESTS = 100
CLIENTS = 32
ASKED_BY_EACH = 8
MUST_REACH_MB_S = 200


def write_store(root: Path, rows: int) -> Workspace:
    """A published store of one feature that fires on `rows` of a million samples."""
    workspace = Workspace(root)
    spans = [(i, i + 1) for i in range(CONTEXT)]
    contexts = (
        TokenContext([i % 10] * CONTEXT, [False] * CONTEXT, spans, str(i % 10) * CONTEXT, {}, str(i))
        for i in range(SAMPLES // CONTEXT)
    )
    write_dataset(workspace, "counts", contexts, [], list("0123456789"), {"name": "digits"}, "Digits.", sampled=False)
    rng = np.random.default_rng(0)
    store = workspace.store_dir(STORE)
    attributes: dict[str, object] = {"encoding-type": "csc_matrix", "shape": [SAMPLES, 1]}
    group = create_group(store / "features.zarr", attributes)
    write_raw(group, "indptr", np.array([0, rows], np.int64))
    write_raw(group, "indices", np.sort(rng.choice(SAMPLES, rows, replace=False)).astype(np.uint32))
    write_raw(group, "data", rng.random(rows, dtype=np.float32) + np.float32(0.01))
    fingerprints = {"model": "none", "sae": "random", "dataset": workspace.dataset("counts").fingerprint}
    shape = {"samples": SAMPLES, "features": 1, "nnz": rows}
    publish(store, {**shape, "sae": "one", "dataset": "counts", "hook": "none", "fingerprints": fingerprints}, [])
    return workspace


@contextmanager
def served(workspace: str, store_id: str) -> Iterator[str]:
    """Serve with `loupe api`, one worker; yields the address of the store."""
    command = [sys.executable, "-m", "loupe", "api", workspace, "--store", store_id, "--port", "0", "--workers", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        address = next((word for word in said.split() if word.startswith("http://")), None)
        if address is None:
            raise SystemExit("`loupe api` did not start; see its message above.")
        yield f"{address}stores/{store_id}"
    finally:
        process.terminate()
        process.wait()


def download(connection: http.client.HTTPConnection, path: str, into: bytearray) -> int:
    """Bytes of one answer, read into the same memory each time; raises SystemExit for anything but a whole answer."""
    connection.request("GET", path)
    reply = connection.getresponse()
    view, length = memoryview(into), 0
    while found := reply.readinto(view[length:]):
        length += found
    reply.read()
    if reply.status != 200 or length != int(reply.headers["Content-Length"]):
        raise SystemExit(f"The server answered {reply.status} with {length:,} bytes.")
    return length


def time_each(call: Callable[[], Any], times: int) -> list[float]:
    """Seconds of each call, after three that warm up."""
    found = []
    for _ in range(times + 3):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return found[3:]


def time_loopback(size: int, times: int) -> list[float]:
    """Seconds to pass `size` bytes from one thread to another through a loopback connection, and nothing else."""
    content, into = bytes(size), bytearray(size)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        receiving = socket.create_connection(listening.getsockname())
        sending = listening.accept()[0]
    with receiving, sending:

        def once() -> None:
            thread = threading.Thread(target=sending.sendall, args=(content,))
            thread.start()
            left = memoryview(into)
            while left:
                left = left[receiving.recv_into(left) :]
            thread.join()

        return time_each(once, times)


def measure(workspace_dir: str, store_id: str, feature: int) -> dict[str, Any]:
    """Serve the store with one worker and fetch one feature's stream: by one client, by the loader, by 32 at once."""
    known = CscLoader(Workspace(workspace_dir).store_dir(store_id)).load(feature)
    rows = len(known.indices)
    with served(workspace_dir, store_id) as url:
        host, _, rest = url.removeprefix("http://").partition("/")
        path = f"/{rest}/features/{feature}/activations.arrow"
        connection, into = http.client.HTTPConnection(host), bytearray(16 * rows + 2**20)
        size = download(connection, path, into)
        table = pa.ipc.open_stream(memoryview(into)[:size]).read_all()
        is_same = np.array_equal(table["activation"].to_numpy(), known.activations)
        single = time_each(lambda: download(connection, path, into), REQUESTS)
        loaded = time_each(lambda: RemoteLoader.at(url).load(feature), REQUESTS // 4)
        together, errors = _ask_together(url, feature, rows)
    loopback = time_loopback(size, REQUESTS)
    return {
        "rows": rows,
        "stream_mb": round(size / 1e6, 3),
        "is_same_as_the_store": is_same,
        "one_client_mb_s": round(size / 1e6 * REQUESTS / sum(single)),
        "one_client_ms_median": round(float(np.median(single)) * 1e3, 2),
        "must_reach_mb_s": MUST_REACH_MB_S,
        "bare_loopback_mb_s": round(size / 1e6 * REQUESTS / sum(loopback)),
        "remote_loader_ms_median": round(float(np.median(loaded)) * 1e3, 2),
        "clients_at_once": CLIENTS,
        "answers_to_them": CLIENTS * ASKED_BY_EACH,
        "errors": errors,
        "clients_at_once_mb_s": round(size / 1e6 * CLIENTS * ASKED_BY_EACH / together),
    }


def _ask_together(url: str, feature: int, rows: int) -> tuple[float, list[str]]:
    """Seconds for 32 clients (each a loader on a thread of its own) to fetch the stream 8 times each, and their errors."""

    def ask(client: int) -> list[str]:
        loader, errors = RemoteLoader.at(url), []
        for _ in range(ASKED_BY_EACH):
            try:
                if len(loader.load(feature).indices) != rows:
                    errors.append("another number of rows")
            except Exception as error:  # whatever goes wrong is what is counted here
                errors.append(str(error))
        return errors

    start = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as clients:
        errors = [error for found in clients.map(ask, range(CLIENTS)) for error in found]
    return time.perf_counter() - start, errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        write_store(Path(temporary), parsed.rows)
        write_result("arrow", measure(temporary, STORE, 0))


if __name__ == "__main__":
    main()
