"""The comparison with Neuronpedia's package fails where a value differs; what it committed held."""

import json

import pytest

from benchmarks.neuronpedia_peer import LABELS, differences
from benchmarks.result import RESULTS


def uploaded(store):
    """What an upload of every feature would hold, were all as the store says."""
    features = []
    for index in range(store.features):
        found = store.activations(index).activations
        texts = [{"text": name} for feature, (name, _) in LABELS.items() if feature == index]
        context = {"tokens": ["a"], "values": [float(found.max(initial=0.0))]}
        logits = {"topLogits": [{"value": 2.0}, {"value": 1.0}], "bottomLogits": [{"value": -1.0}]}
        density = len(found) / store.samples
        features.append({"index": index, "density": density, "activations": [context], "explanations": texts, **logits})
    return [{"features": features[:100]}, {"features": features[100:]}]


def test_what_agrees_has_no_differences(store):
    assert differences(store, uploaded(store)) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda feature: feature.update(density=0.5), "density"),
        (lambda feature: feature["activations"][0].update(values=[1e6]), "the largest value"),
        (lambda feature: feature["activations"][0].update(tokens=["a", "b"]), "differ in number"),
        (lambda feature: feature["topLogits"].reverse(), "out of order"),
        (lambda feature: feature["explanations"].append({"text": "dogs"}), "explanations"),
    ],
)
def test_a_value_that_is_not_the_stores_is_named(store, change, words):
    bodies = uploaded(store)
    change(bodies[0]["features"][7])
    (said,) = differences(store, bodies)
    assert said.startswith("feature 7:") and words in said


def test_a_missing_feature_is_named(store):
    bodies = uploaded(store)
    del bodies[1]["features"][3]
    assert differences(store, bodies)[0].startswith("features [0, 1,")


def test_the_committed_result_holds_features_explanations_and_no_failure():
    figures = json.loads((RESULTS / "neuronpedia.json").read_text())["figures"]
    assert figures["failed"] == [] and figures["uploads"] > 1
    assert figures["activations"] > figures["features"] and figures["explanations"] == len(LABELS)
