"""Step `grammar-dataset`: write contexts of the planted grammar as a dataset, in the order in which they are composed."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from loaders.errors import BadInput
from loaders.manifest import is_published, read_manifest
from loaders.workspace import Workspace
from precompute.contexts import TokenContext
from precompute.corpora.grammar import COLUMNS, marked_contexts
from precompute.dataset_writer import write_dataset
from precompute.grammar_model import MODEL_ID, build_tokenizer
from precompute.progress import Progress, Step
from precompute.vocabulary import display_vocabulary, tokenizer_info


@dataclass(frozen=True)
class Config:
    """How much of the planted grammar."""

    id: str = "grammar"
    """Name of the dataset in the workspace."""
    tokens: int = 150_000
    """Samples (tokens without the special ones); the last context may end a little later."""
    held_out: float = 0.1
    """Share of the contexts that are kept for measuring and never trained on."""
    seed: int = 0
    """Draws the contexts; the model was trained on others, whatever the seed."""


def run(config: Config, workspace: Workspace, progress: Progress) -> Path:
    """Write the dataset unless it is there, and return its directory; context i is number i of `marked_contexts`.

    Raises BadInput for a dataset there with other settings, and for a number of tokens below 1.
    """
    target = workspace.dataset_dir(config.id)
    if is_published(target):
        if read_manifest(target, "dataset").get("config") != asdict(config):
            raise BadInput(f"Dataset '{config.id}' was made with other settings. Choose another id, or delete it.")
        return target
    if config.tokens < 1:
        raise BadInput(f"A dataset of {config.tokens} tokens was asked for. Ask for at least 1.")
    tokenizer = build_tokenizer()
    with progress.step(f"dataset {config.id}", total=config.tokens, unit="tokens") as bar:
        return write_dataset(
            workspace,
            config.id,
            _contexts(config, bar),
            columns=COLUMNS,
            vocab=display_vocabulary(tokenizer),
            tokenizer=tokenizer_info(tokenizer, MODEL_ID),
            description="A sample of {samples} tokens ({contexts} contexts) of a planted grammar of about 100 words.",
            sampled=True,
            held_out=config.held_out,
            seed=config.seed,
            fields={"config": asdict(config)},
        )


def _contexts(config: Config, bar: Step) -> Iterator[TokenContext]:
    """Contexts until the budget is reached; `<bos>` is no sample."""
    samples = 0
    for number, marked in enumerate(marked_contexts("dataset", config.seed)):
        if samples >= config.tokens:
            return
        special = [position == 0 for position in range(len(marked.tokens))]
        yield TokenContext(marked.tokens, special, marked.spans, marked.text, marked.metadata, f"context {number}")
        samples += len(marked.tokens) - 1
        bar.advance(len(marked.tokens) - 1)
