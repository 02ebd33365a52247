"""What the weights of an SAE look like, feature by feature; kept beside the SAE where it takes long to measure."""

import hashlib
import io
import json
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from loaders.errors import StoreDamaged
from loaders.manifest import file_sha256
from loaders.sae import SaeRecord

FILE = "weight_facts.npz"
VERSION = 1
DUPLICATE = 0.9  # cosine of two decoder directions from which they count as near duplicates
NEEDED = ("decoder_norm", "max_cosine", "nearest")
OPTIONAL = ("encoder_norm", "encoder_decoder_cosine")
BIAS = "bias_"

PerFeature = npt.NDArray[np.float32]


class WeightFacts(NamedTuple):
    """Arrays are [features]; None where the SAE has no encoder of its own.

    `max_cosine` of a feature's decoder direction to another feature's, `nearest` which one (NaN and -1 where the
    direction has no length or is not finite); `duplicate_pairs` have a cosine above 0.9; `biases` are the tensors with a
    value for each feature, by name (b_enc, threshold, ...); `decoder_bias_norm` is the length of b_dec; `nonfinite` counts
    the values of each tensor that are NaN or infinite.
    """

    features: int
    width: int
    decoder_norm: PerFeature
    max_cosine: PerFeature
    nearest: npt.NDArray[np.int64]
    duplicate_pairs: int
    encoder_norm: PerFeature | None
    encoder_decoder_cosine: PerFeature | None
    biases: dict[str, PerFeature]
    decoder_bias_norm: float | None
    nonfinite: dict[str, int]

    @property
    def near_duplicates(self) -> int:
        """Features whose decoder direction has a cosine above 0.9 with another's."""
        return int((self.max_cosine > DUPLICATE).sum())


def weights_fingerprint(record: SaeRecord) -> str:
    """The SAE's fingerprint, or of an SAE without one the sha256 of its weights; with the weights' size."""
    path = record.weights_path
    try:
        stat = path.stat()
    except OSError as error:
        raise StoreDamaged(f"SAE '{record.id}' has no weights at '{path}'. Import or train it again.") from error
    found = record.metadata.get("fingerprints")
    stated = found.get("sae") if isinstance(found, dict) else None
    known = stated if isinstance(stated, str) else _sha256(path, stat.st_size, stat.st_mtime_ns)
    return hashlib.sha256(f"{VERSION} {known} {stat.st_size}".encode()).hexdigest()


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, modified: int) -> str:
    return file_sha256(path)


def pack_facts(facts: WeightFacts, fingerprint: str) -> bytes:
    """The bytes of the file."""
    about = {
        "fingerprint": fingerprint,
        "features": facts.features,
        "width": facts.width,
        "duplicate_pairs": facts.duplicate_pairs,
        "decoder_bias_norm": facts.decoder_bias_norm,
        "nonfinite": facts.nonfinite,
    }
    arrays: dict[str, Any] = {name: getattr(facts, name) for name in NEEDED}
    arrays |= {name: getattr(facts, name) for name in OPTIONAL if getattr(facts, name) is not None}
    arrays |= {BIAS + name: values for name, values in facts.biases.items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, about=np.array(json.dumps(about)), **arrays)
    return buffer.getvalue()


def read_facts(path: Path, fingerprint: str) -> WeightFacts | None:
    """The facts of weights with that fingerprint; None where there are none, or those of other weights.

    Raises StoreDamaged for a file that cannot be read.
    """
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            if about["fingerprint"] != fingerprint:
                return None
            arrays = {name: file[name] for name in file.files if name != "about"}
            return _facts(about, arrays)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, EOFError) as error:
        raise StoreDamaged(f"'{path}' cannot be read ({error}). Delete it and run `loupe weights` again.") from error


def _facts(about: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> WeightFacts:
    features = int(about["features"])
    for name, values in arrays.items():
        kind = np.int64 if name == "nearest" else np.float32
        if values.shape != (features,) or values.dtype != kind:
            raise ValueError(f"{name} holds {values.dtype} {values.shape}")
    norm = about["decoder_bias_norm"]
    known: dict[str, Any] = {name: arrays[name] for name in NEEDED} | {name: arrays.get(name) for name in OPTIONAL}
    return WeightFacts(
        features=features,
        width=int(about["width"]),
        duplicate_pairs=int(about["duplicate_pairs"]),
        decoder_bias_norm=None if norm is None else float(norm),
        nonfinite={str(name): int(number) for name, number in about["nonfinite"].items()},
        biases={name.removeprefix(BIAS): values for name, values in arrays.items() if name.startswith(BIAS)},
        **known,
    )
