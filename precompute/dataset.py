"""Step `dataset`: read texts, cut them into contexts of tokens and write them as a dataset of the workspace."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loaders.errors import BadInput
from loaders.manifest import file_sha256, is_published, read_manifest
from loaders.workspace import Workspace
from precompute.contexts import Cutter, TokenContext
from precompute.corpora.docs import documentation
from precompute.corpora.documents import Corpus
from precompute.corpora.files import find_files, read_files, read_list
from precompute.dataset_writer import write_dataset
from precompute.disk import require_space
from precompute.models import check_context_length, load_tokenizer
from precompute.progress import Progress, Step
from precompute.sampling import Budget, Shingles, without_copies
from precompute.vocabulary import display_vocabulary, tokenizer_info

DOCS = "docs"
DOCS_CONTEXTS_PER_DOCUMENT = 4
DOCS_LEAST_TOKENS = 24
BYTES_PER_TOKEN = 40  # on disk: five numbers, the text, the share of the metadata
CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True)
class Config:
    """What to read and how to cut it."""

    id: str = "docs"
    """Name of the dataset in the workspace."""

    source: str = DOCS
    """`docs` (the documentation strings of the environment), or the path of a .txt, .jsonl, .csv or .parquet file or of a
    folder of such files."""

    model: str = "minilm"
    """Model whose tokenizer reads the text: `minilm`, a local folder or a hub id."""

    tokens: int | None = 250_000
    """Budget in samples (tokens without the special ones); None reads everything, which `docs` does not allow."""

    context_length: int = 128
    """Most tokens of a context, special ones included."""

    bos: bool | None = None
    """Whether every context begins with the tokenizer's first token and has no other special one; by default as the
    tokenizer does it."""

    held_out: float = 0.1
    """Share of the documents that are kept for measuring and never trained on."""

    seed: int = 0
    """Draws the sample and the held-out documents."""


def run(config: Config, workspace: Workspace, progress: Progress, texts: Iterable[str] | None = None) -> Path:
    """Write the dataset unless it is there already; returns its directory.

    `texts` takes the place of the source: a document per string. Raises BadInput for a source that is missing, empty or
    malformed, a context length beyond the model's, and a finished dataset of the same id with other settings.
    """
    if config.tokens is not None and config.tokens < 1:
        raise BadInput(f"A dataset of {config.tokens} tokens was asked for. Ask for at least 1.")
    target = workspace.dataset_dir(config.id)
    if is_published(target):
        check_settings(config, read_manifest(target, "dataset"))
        return target
    if config.source == DOCS and texts is None and config.tokens is None:
        raise BadInput(
            "The source 'docs' needs a budget of tokens: its texts are only sampled. Set tokens, e.g. 250000."
        )
    tokenizer = load_tokenizer(config.model)
    if tokenizer is None:
        raise BadInput(
            f"Model '{config.model}' has no tokenizer files, so it cannot read text. Save its tokenizer there."
        )
    check_context_length(config.model, config.context_length)
    is_docs = texts is None and config.source == DOCS
    files = [] if is_docs or texts is not None else find_files(config.source)
    expected = config.tokens or max(sum(file.stat().st_size for file in files) // CHARACTERS_PER_TOKEN, 1)
    require_space(target, expected * BYTES_PER_TOKEN, f"the {expected:,} tokens of dataset '{config.id}'")
    corpus = read_list(texts) if texts is not None else read_corpus(config)
    with progress.step(f"dataset {config.id}", total=expected, unit="tokens") as bar:
        most, least = (DOCS_CONTEXTS_PER_DOCUMENT, DOCS_LEAST_TOKENS) if is_docs else (None, 1)
        cutter = Cutter(tokenizer, config.context_length, most, least, config.bos)
        budget = Budget(config.tokens)
        contexts = budget.take(cut(corpus, cutter, without_near_copies=is_docs))
        return write_dataset(
            workspace,
            config.id,
            follow(contexts, bar),
            columns=corpus.columns,
            vocab=display_vocabulary(tokenizer),
            tokenizer=tokenizer_info(tokenizer, config.model),
            description=describe(corpus),
            sampled=lambda: budget.is_spent,
            held_out=config.held_out,
            seed=config.seed,
            fields={"config": asdict(config), "sources": fingerprint_files(config.source) if files else {}},
        )


def check_settings(config: Config, manifest: dict[str, Any]) -> None:
    """Raise BadInput when the finished dataset was made with other settings or from files that changed since."""
    made = manifest.get("config", {})
    other = [
        f"{key} {made.get(key)!r} instead of {value!r}"
        for key, value in asdict(config).items()
        if made.get(key) != value
    ]
    sources = manifest.get("sources")
    if not other and sources and Path(config.source).exists() and fingerprint_files(config.source) != sources:
        other = [f"other contents of '{config.source}'"]
    if other:
        raise BadInput(
            f"Dataset '{config.id}' is finished already, with {', '.join(other)}. Choose another id, or delete the dataset"
            " and everything made from it."
        )


def fingerprint_files(source: str) -> dict[str, str]:
    """The sha256 of each file of a source, by its name (its path below the source, if that is a folder)."""
    root = Path(source)
    return {
        file.relative_to(root).as_posix() if root.is_dir() else file.name: file_sha256(file)
        for file in find_files(root)
    }


def read_corpus(config: Config) -> Corpus:
    """The corpus that the config's source names; a budget draws files' documents with the seed."""
    if config.source == DOCS:
        return documentation(config.seed)
    return read_files(config.source, None if config.tokens is None else config.seed)


def cut(corpus: Corpus, cutter: Cutter, without_near_copies: bool) -> dict[str, Iterator[TokenContext]]:
    """The contexts of each stratum; near copies are left out wherever in the corpus the first one came."""
    strata = {name: cutter.contexts(documents) for name, documents in corpus.strata.items()}
    if not without_near_copies:
        return strata
    seen = Shingles()
    return {name: without_copies(contexts, seen) for name, contexts in strata.items()}


def follow(contexts: Iterator[TokenContext], bar: Step) -> Iterator[TokenContext]:
    """Pass contexts on and report their samples."""
    for context in contexts:
        bar.advance(context.samples)
        yield context


def describe(corpus: Corpus) -> str:
    """A sentence for the manifest, with places for the counts."""
    source = corpus.source.replace("{", "{{").replace("}", "}}")
    parts = len(corpus.strata)
    shares = f", in equal shares of its {parts} parts as far as they reach" if parts > 1 else ""
    return f"{{amount}} {{samples}} tokens ({{contexts}} contexts) of {source}{shares}."
