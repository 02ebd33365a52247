"""Runs in the environment of neuronpedia: `neuronpedia_rows.py BUNDLE UPLOAD EXPLANATIONS`; nothing is sent anywhere.

The package reads its server's rows, not bundles, so that two things are done for it here: `layer` also stands under the API's
name `source`, and -1 (a strongest context) becomes unknown, as its Activation takes shares from 0 to 1 alone. It writes UPLOAD,
the body that its own upload would send, and EXPLANATIONS, rows of the explanations that it holds."""

import gzip
import json
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from neuronpedia.np_activation import Activation
from neuronpedia.np_explanation import Explanation
from neuronpedia.np_feature import Feature, Logit
from neuronpedia.np_source_set import SourceSet
from neuronpedia.requests.feature_request import MAX_FEATURES_PER_BATCH, FeatureRequest


def rows_of(bundle: Path, kind: str) -> Iterator[dict[str, Any]]:
    for path in sorted((bundle / kind).glob("batch-*.jsonl.gz")):
        with gzip.open(path, "rt") as lines:
            for line in lines:
                row = json.loads(line)
                yield row | {"source": row["layer"]}


def activation_of(row: dict[str, Any]) -> Activation:
    is_top = row["binContains"] == -1
    return Activation.from_np_db_json(row | ({"binContains": None, "binMin": None} if is_top else {}))


def logits_of(row: dict[str, Any], side: str) -> list[Logit]:
    pairs = zip(row[f"{side}_str"], row[f"{side}_values"], strict=True)
    return [Logit(token, value) for token, value in pairs]


def features_of(bundle: Path) -> list[Feature]:
    activations: dict[str, list[Activation]] = {}
    for row in rows_of(bundle, "activations"):
        activations.setdefault(row["index"], []).append(activation_of(row))
    explanations: dict[str, list[Explanation]] = {}
    for row in rows_of(bundle, "explanations"):
        explanations.setdefault(row["index"], []).append(Explanation.from_np_db_json(row))
    return [
        Feature(
            modelId=row["modelId"],
            source=row["source"],
            index=int(row["index"]),
            density=row["frac_nonzero"],
            top_logits=logits_of(row, "pos"),
            bottom_logits=logits_of(row, "neg"),
            explanations=explanations.get(row["index"], []),
            activations=activations.get(row["index"], []),
        )
        for row in rows_of(bundle, "features")
    ]


class Kept(FeatureRequest):
    """The package's upload, whose body is kept instead of sent."""

    def send_request(self, *_: Any, **words: Any) -> Any:
        return words["json"]


def main() -> None:
    bundle, upload, explanations = map(Path, sys.argv[1:])
    card = {name: json.loads((bundle / f"{name}.jsonl").read_text()) for name in ("sourceset", "source")}
    made = SourceSet.from_np_db_json(card["sourceset"] | {"sources": [card["source"]]})
    source, features = made.sources[0], features_of(bundle)
    request, bodies = Kept("no key"), []
    for start in range(0, len(features), MAX_FEATURES_PER_BATCH):
        bodies.append(
            request.upload_batch(source.model_id, source.id, features[start : start + MAX_FEATURES_PER_BATCH])
        )
    upload.write_text(json.dumps({"version": version("neuronpedia"), "set": made.name, "bodies": bodies}))
    held = [one for feature in features for one in feature.explanations or []]
    fields = [
        {
            "modelId": one.modelId,
            "layer": one.source,
            "index": str(one.index),
            "description": one.text,
            "typeName": one.method,
            "explanationModelName": one.explainer_model,
        }
        for one in held
    ]
    with gzip.open(explanations, "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in fields)


if __name__ == "__main__":
    main()
