"""What every corpus hands on: documents with metadata, in strata that are read lazily and sampled in equal shares."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple


class Document(NamedTuple):
    """A text with its metadata; contexts of one document are held out together. `id` is unique in the corpus."""

    id: str
    text: str
    metadata: Mapping[str, object]


class Corpus(NamedTuple):
    """Documents by stratum. `columns`: the metadata columns; `source`: one sentence part that names the texts."""

    strata: Mapping[str, Iterator[Document]]
    columns: tuple[str, ...]
    source: str
