"""The names under which SAELens publishes SAEs: which hub repository a release is, and where in it an id lies.

The releases below follow a rule each. Where the package `sae-lens` is installed, its own list (`pretrained_saes.yaml`) is
read as well, which names every release; the package itself is not imported."""

import importlib.util
import re
from pathlib import Path
from typing import Any, NamedTuple

from loaders.errors import BadInput

CENTRED = {"model_from_pretrained_kwargs": {"center_writing_weights": True}}
RESCALED = {"normalize_activations": "constant_norm_rescale"}
GEMMA_SCOPE = (
    "gemma-scope-2b-pt-res",
    "gemma-scope-2b-pt-mlp",
    "gemma-scope-2b-pt-att",
    "gemma-scope-9b-pt-res",
    "gemma-scope-9b-pt-mlp",
    "gemma-scope-9b-pt-att",
    "gemma-scope-9b-it-res",
    "gemma-scope-27b-pt-res",
)


class Release(NamedTuple):
    """`folder` takes `{id}`, the SAE's id, and `{layer}`, the first number in it; `overrides` are keys of its config."""

    repo: str
    folder: str = "{id}"
    overrides: dict[str, Any] = {}


class Published(NamedTuple):
    """One SAE of a release."""

    repo: str
    folder: str
    overrides: dict[str, Any]


RELEASES = {
    "gpt2-small-res-jb": Release("jbloom/GPT2-Small-SAEs-Reformatted", overrides=CENTRED),
    "gpt2-small-res-jb-feature-splitting": Release(
        "jbloom/GPT2-Small-Feature-Splitting-Experiment-Layer-8", overrides=CENTRED
    ),
    **{
        f"gpt2-small-{place}-v5-{width}": Release(
            f"jbloom/GPT2-Small-OAI-v5-{width}-{place}-SAEs",
            f"v5_{width}_layer_{{layer}}" + (".pt" if (place, width) == ("resid-post", "32k") else ""),
        )
        for place in ("attn-out", "mlp-out", "resid-mid", "resid-post")
        for width in ("32k", "128k")
    },
    "pythia-70m-deduped-att-sm": Release("ctigges/pythia-70m-deduped__att-sm_processed", "{layer}-att-sm"),
    "pythia-70m-deduped-mlp-sm": Release("ctigges/pythia-70m-deduped__mlp-sm_processed", "{layer}-mlp-sm"),
    "mistral-7b-res-wg": Release(
        "JoshEngels/Mistral-7B-Residual-Stream-SAEs", "mistral_7b_layer_{layer}", overrides=RESCALED
    ),
    "llama-3-8b-it-res-jh": Release("Juliushanhanhan/llama-3-8b-it-res"),
    "gemma-2-2b-res-matryoshka-dc": Release(
        "chanind/gemma-2-2b-batch-topk-matryoshka-saes-w-32k-l0-40", "standard/{id}"
    ),
    "gemma-2-2b-res-snap-matryoshka-dc": Release(
        "chanind/gemma-2-2b-batch-topk-matryoshka-saes-w-32k-l0-40", "snap/{id}"
    ),
    "gemma-2-9b-res-matryoshka-dc": Release("chanind/gemma-2-9b-batch-topk-matryoshka-saes-w-32k-l0-60"),
    "gemma-3-1b-res-matryoshka-dc": Release("chanind/gemma-3-1b-batch-topk-matryoshka-saes-w-32k-l0-40"),
    **{name: Release(f"google/{name}") for name in GEMMA_SCOPE},
}


def find_published(release: str, sae_id: str) -> Published | None:
    """Where an SAE of a release lies; None for a name that is no known release.

    Raises BadInput for an id that the release does not have, as far as that is known here.
    """
    if listed := _listed(release):
        ids = {str(entry["id"]): entry for entry in listed.get("saes", [])}
        if sae_id not in ids:
            some = ", ".join(list(ids)[:5])
            raise BadInput(f"Release '{release}' has no SAE '{sae_id}'. Some that it has: {some}.")
        return Published(str(listed["repo_id"]), str(ids[sae_id]["path"]), dict(listed.get("config_overrides") or {}))
    known = RELEASES.get(release)
    if known is None:
        return None
    if not sae_id:
        raise BadInput(f"'{release}' is a release of many SAEs. Name one, e.g. {release}/blocks.8.hook_resid_pre.")
    number = re.search(r"\d+", sae_id)
    if "{layer}" in known.folder and number is None:
        raise BadInput(f"'{sae_id}' names no layer of release '{release}', e.g. blocks.8.hook_resid_pre.")
    folder = known.folder.format(id=sae_id, layer=number[0] if number else "")
    return Published(known.repo, folder, dict(known.overrides))


def _listed(release: str) -> dict[str, Any] | None:
    """The release in the list of an installed `sae-lens`."""
    spec = importlib.util.find_spec("sae_lens")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "pretrained_saes.yaml"
    if not path.is_file():
        return None
    import yaml  # comes with sae-lens

    listed = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    found = listed.get(release) if isinstance(listed, dict) else None
    return found if isinstance(found, dict) else None
