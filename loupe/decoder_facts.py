"""One feature of an SAE by its weights: norms, bias, and the features whose decoder directions are nearest."""

from typing import Any

import numpy as np

from loaders.errors import BadInput, FeatureNotFound, StoreDamaged
from loaders.sae import SaeRecord

BLOCK = 4096  # decoder rows compared at once


def decoder_facts(sae: SaeRecord, feature_id: int, top: int = 20) -> dict[str, Any]:
    """Norms, encoder bias, cosine of encoder and decoder, and the `top` other features by cosine of decoder rows.

    `encoder_norm`, `encoder_bias` and `threshold` are None where the SAE has no such tensor; a cosine with a direction of
    norm 0 is None, and such directions are nobody's neighbours. Raises BadInput, FeatureNotFound and StoreDamaged.
    """
    if top < 1:
        raise BadInput(f"The {top} nearest decoder directions were asked for. Ask for at least 1.")
    if "W_dec" not in sae.tensors or sae.tensors["W_dec"].ndim != 2:
        raise StoreDamaged(f"The weights of SAE '{sae.id}' have no decoder W_dec [features, width].")
    decoder = sae.decoder()
    features, width = decoder.shape
    if not 0 <= feature_id < features:
        raise FeatureNotFound(feature_id, features, f"SAE '{sae.id}'")
    norms = np.linalg.norm(decoder, axis=1)
    own = decoder[feature_id]
    encoder = _row(sae, "W_enc", feature_id, (width, features))
    return {
        "sae": sae.id,
        "architecture": sae.cfg.get("architecture"),
        "feature": feature_id,
        "features": features,
        "width": width,
        "decoder_norm": float(norms[feature_id]),
        "encoder_norm": None if encoder is None else float(np.linalg.norm(encoder)),
        "encoder_decoder_cosine": None if encoder is None else _cosine(encoder, own),
        "encoder_bias": _number(sae, "b_enc", feature_id, features),
        "threshold": _number(sae, "threshold", feature_id, features),
        "nearest": [] if norms[feature_id] == 0 else _nearest(decoder, norms, feature_id, top),
    }


def _nearest(decoder: np.ndarray, norms: np.ndarray, feature_id: int, top: int) -> list[dict[str, Any]]:
    direction = decoder[feature_id] / norms[feature_id]
    blocks = [decoder[first : first + BLOCK] @ direction for first in range(0, len(decoder), BLOCK)]
    cosines = np.divide(np.concatenate(blocks), norms, out=np.full(len(norms), -np.inf, np.float32), where=norms > 0)
    cosines[feature_id] = -np.inf
    best = np.argsort(-cosines, kind="stable")[:top]
    return [
        {"feature": int(i), "cosine": float(np.clip(cosines[i], -1, 1)), "decoder_norm": float(norms[i])}
        for i in best
        if np.isfinite(cosines[i])
    ]


def _row(sae: SaeRecord, name: str, feature_id: int, shape: tuple[int, int]) -> np.ndarray | None:
    tensor = sae.tensors.get(name)
    return None if tensor is None or tensor.shape != shape else tensor[:, feature_id].astype(np.float32)


def _number(sae: SaeRecord, name: str, feature_id: int, features: int) -> float | None:
    tensor = sae.tensors.get(name)
    return None if tensor is None or tensor.shape != (features,) else float(tensor[feature_id])


def _cosine(a: np.ndarray, b: np.ndarray) -> float | None:
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.clip(a @ b / norms, -1, 1)) if norms else None
