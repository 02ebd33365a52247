"""One small workspace for all tests, made by the real pipeline: a random two-layer encoder over real docstrings."""

import inspect
import json
import threading
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.serving import make_server

from app import create_server
from loaders.store import Store
from loaders.workspace import Workspace
from precompute import build
from precompute.progress import Progress
from tests.postgres import Postgres

MODULES = ("json", "random", "argparse", "statistics", "textwrap", "string", "shutil", "pathlib", "zipfile", "calendar")
LAYERS = ("encoder.layer.0", "encoder.layer.1")


def write_texts(path: Path) -> Path:
    """Docstrings of standard library modules, one JSON object per line."""
    rows = []
    for module in MODULES:
        members = [(module, import_module(module)), *inspect.getmembers(import_module(module), _is_documented)]
        for name, member in members:
            text = inspect.getdoc(member) or ""
            if len(text) > 80:
                kind = "class" if inspect.isclass(member) else "module" if inspect.ismodule(member) else "function"
                rows.append({"text": text, "module": module, "kind": kind, "name": name})
    assert len(rows) > 60
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _is_documented(member: object) -> bool:
    return inspect.isclass(member) or inspect.isfunction(member)


def write_encoder(folder: Path, texts: Path) -> Path:
    """A random BERT of two layers with a WordPiece tokenizer trained on the texts."""
    import torch
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    lines = [json.loads(line)["text"] for line in texts.read_text().splitlines()]
    trained = BertWordPieceTokenizer(lowercase=True)
    trained.train_from_iterator(lines, vocab_size=800, show_progress=False)
    folder.mkdir(parents=True)
    tokenizer = BertTokenizerFast(tokenizer_object=trained._tokenizer, model_max_length=64)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **shape)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The one PostgreSQL server of the session; `make_database` gives each test a database of its own."""
    running = Postgres()
    yield running
    running.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of a database that holds nothing yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'catalog.sqlite'}"
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    made = postgres.make_database()
    yield made
    postgres.drop_database(made)


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Two layers, 128 features each, published with every table and matched."""
    root = tmp_path_factory.mktemp("workspace")
    texts = write_texts(root / "texts.jsonl")
    model = write_encoder(root / "models" / "tiny", texts)
    config = build.Config(
        model=str(model),
        hooks=LAYERS,
        source=str(texts),
        set_id="tiny",
        context_length=48,
        tokens=12_000,
        k=8,
        expansion=4,
        steps=(150,),
        batch=512,
    )
    build.run(config, Workspace(root), Progress())
    return Workspace(root)


@pytest.fixture(scope="session")
def object_store() -> Iterator[str]:
    """A real S3 server on this machine; yields its address."""
    from moto.server import ThreadedMotoServer

    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(object_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty bucket in it, which the environment leads to; yields its name."""
    import fsspec

    for name, value in {
        "AWS_ENDPOINT_URL": object_store,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "LOUPE_CACHE": str(tmp_path / "cache"),
        "LOUPE_DATABASE_URL": f"sqlite:///{tmp_path / 'catalog.sqlite'}",
    }.items():
        monkeypatch.setenv(name, value)
    fsspec.get_filesystem_class("s3").clear_instance_cache()  # or a file system of an earlier address would be taken
    name = tmp_path.name.replace("_", "-")[-40:].strip("-")
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir(name)
    return name


@pytest.fixture
def bucket_url(bucket: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> str:
    """The session's workspace, copied into a bucket of its own; listings are not kept."""
    import fsspec

    from loaders import mirror

    monkeypatch.setattr(mirror, "LISTED_FOR_S", 0.0)
    files = fsspec.filesystem("s3", skip_instance_cache=True)
    for kind in ("datasets", "saes", "layers", "stores"):
        files.put(f"{workspace.root}/{kind}", f"{bucket}/", recursive=True)
    return f"s3://{bucket}"


@pytest.fixture(scope="session")
def store(workspace: Workspace) -> Store:
    return workspace.open_store("tiny-l0@texts")


@pytest.fixture(scope="session")
def server(workspace: Workspace) -> Flask:
    """The one dashboard of the session: two in one process would mix up their callbacks."""
    return create_server(str(workspace.root))


@pytest.fixture(scope="session")
def live_server(server: Flask) -> Iterator[str]:
    """The dashboard on a port of its own; yields its address."""
    running = make_server("127.0.0.1", 0, server, threaded=True)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    thread.join()
