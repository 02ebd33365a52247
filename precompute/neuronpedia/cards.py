"""The four single rows of a bundle: release, model, source set and source, with every field of Neuronpedia's tables."""

import json
from pathlib import Path
from typing import Any

from loaders.store import Store

PUBLIC = "PUBLIC"


def cards(plan: dict[str, Any], store: Store, model_folder: Path | None) -> dict[str, dict[str, Any]]:
    """Rows by file name. What only a hosting site decides has the value that Neuronpedia's own converter gives it."""
    moment, who = plan["created_at"], {"creatorId": plan["creator_id"]}
    release = {
        "name": plan["release"],
        "description": plan["title"],
        "creatorName": plan["creator"],
        **who,
        "visibility": PUBLIC,
        "isNewUi": False,
        "featured": False,
        "descriptionShort": plan["title"],
        "urls": [],
        "creatorEmail": None,
        "creatorNameShort": plan["creator"],
        "defaultSourceSetName": plan["set_name"],
        "defaultSourceId": plan["source"],
        "defaultUmapSourceIds": [],
        "createdAt": moment,
    }
    model = {
        "id": plan["model_id"],
        "instruct": plan["model_id"].endswith(("-it", "-instruct", "-chat")),
        **who,
        "displayNameShort": plan["model_id"],
        "displayName": plan["model_id"],
        "tlensId": None,
        **_shape(model_folder),
        "visibility": PUBLIC,
        "defaultSourceSetName": plan["set_name"],
        "defaultSourceId": plan["source"],
        "inferenceEnabled": False,
        "createdAt": moment,
        "owner": "",
        "updatedAt": moment,
        "website": None,
    }
    source_set = {
        "modelId": plan["model_id"],
        "name": plan["set_name"],
        **who,
        "hasDashboards": True,
        "visibility": PUBLIC,
        "description": plan["title"],
        "type": "",
        "creatorName": plan["creator"],
        "urls": [],
        "creatorEmail": None,
        "releaseName": plan["release"],
        "defaultOfModelId": None,
        "defaultRange": 1,
        "defaultShowBreaks": True,
        "showDfa": False,
        "showCorrelated": store.has("neighbours"),
        "showHeadAttribution": False,
        "showUmap": False,
        "createdAt": moment,
    }
    source = {
        "id": plan["source"],
        "modelId": plan["model_id"],
        "setName": plan["set_name"],
        **who,
        "hasDashboards": True,
        "inferenceEnabled": False,
        "inferenceHosts": [],
        "saelensConfig": None,
        "saelensRelease": None,
        "saelensSaeId": None,
        "hfRepoId": None,
        "hfFolderId": None,
        "visibility": PUBLIC,
        "defaultOfModelId": None,
        "hasUmap": False,
        "hasUmapLogSparsity": False,
        "hasUmapClusters": False,
        "num_prompts": store.dataset.contexts,
        "num_tokens_in_prompt": None,  # contexts differ in length
        "dataset": store.dataset.id,
        "notes": f"{store.hook}: exact over {store.samples:,} tokens of {store.dataset.contexts:,} contexts"
        " (special tokens are not counted).",
        "createdAt": moment,
    }
    return {"release": release, "model": model, "sourceset": source_set, "source": source}


def _shape(folder: Path | None) -> dict[str, Any]:
    """Width, layers and neurons as the model's config.json states them; the format's own defaults where it does not."""
    path = folder / "config.json" if folder else None
    try:
        config = json.loads(path.read_text()) if path and path.is_file() else {}
    except ValueError:
        config = {}
    stated = config.get("text_config", config) if isinstance(config, dict) else {}

    def first(*names: str) -> int | None:
        return next((stated[name] for name in names if isinstance(stated.get(name), int)), None)

    return {
        "dimension": first("hidden_size", "n_embd"),
        "layers": first("num_hidden_layers", "n_layer") or 0,
        "neuronsPerLayer": first("intermediate_size", "n_inner") or 0,
    }
