"""The whole path over the planted grammar: what its features must be is known, so they are looked up and held to it."""

import json
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

import numpy as np
import pytest
import torch
from scipy.sparse import csc_array

from analysis.detection import activation_matrix, area_under_curve, best_detector
from catalog.catalog import Catalog
from loaders.errors import BadInput
from loaders.store import Store
from loaders.workspace import Workspace
from precompute import build, demo, findings, grammar_dataset, grammar_model
from precompute.corpora.grammar import BOS, CONSTRUCTIONS, ROLES, TOKEN_IDS, marked_contexts
from precompute.models import LoadedModel, load_model
from precompute.progress import Progress

MODEL = grammar_model.Config(layers=3, width=96, steps=1200)
HOOKS = ("transformer.h.1", "transformer.h.2")
STEPS, RATE = (400,), 2e-3  # for less than half of the demo's text, half of its steps
NAMES = ROLES["woman's name"] + ROLES["man's name"]


class Truth(NamedTuple):
    """Per sample: the construction that determines the next token (-1: none), and the token that came next (-1: the end)."""

    construction: np.ndarray
    next_token: np.ndarray

    def is_determined(self, construction: str) -> np.ndarray:
        return self.construction == CONSTRUCTIONS.index(construction)

    def is_next(self, construction: str, words: tuple[str, ...]) -> np.ndarray:
        return self.is_determined(construction) & np.isin(self.next_token, [TOKEN_IDS[word] for word in words])


@pytest.fixture(scope="module")
def grammar(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Model, dataset, SAEs of the last two layers with every table, and their matching, all by the demo's own tasks."""
    workspace = Workspace(tmp_path_factory.mktemp("grammar"))
    model = grammar_model.run(MODEL, workspace, Progress())
    config = replace(demo.grammar_config(model), hooks=HOOKS, steps=STEPS, lr=RATE)
    grammar_dataset.run(grammar_dataset.Config(tokens=60_000), workspace, Progress())
    for task in build.set_tasks(config, workspace, Catalog(workspace.catalog_url)):
        task.run(Progress())
    return workspace


@pytest.fixture(scope="module")
def store(grammar: Workspace) -> Store:
    """The last layer's: after it come only the final norm and the unembedding."""
    return grammar.open_store("grammar-l2@grammar")


@pytest.fixture(scope="module")
def truth(store: Store) -> Truth:
    contexts = list(islice(marked_contexts("dataset", seed=0), len(store.dataset.offsets) - 1))
    following = [[*context.tokens[2:], -1] for context in contexts]
    return Truth(np.concatenate([context.truth[1:] for context in contexts]), np.concatenate(following))


@pytest.fixture(scope="module")
def activations(store: Store) -> csc_array:
    return activation_matrix(store)


@pytest.fixture(scope="module")
def model(grammar: Workspace) -> LoadedModel:
    return load_model(grammar.models_dir() / "grammar")


def best_feature(activations: csc_array, mask: np.ndarray) -> int:
    return best_detector(activations, mask).feature


def strongest_influences(store: Store, feature: int, n: int) -> list[str]:
    influences = store.influences(feature)
    assert influences.kind == "logits"
    return influences.rows["token"].tolist()[:n]


def test_model_knows_the_grammar_and_says_how_well(grammar: Workspace, model: LoadedModel) -> None:
    recorded = json.loads((grammar.models_dir() / "grammar" / "truth.json").read_text())
    again = grammar_model.measure_accuracy(model.model, islice(marked_contexts("held-out", 99), 200))["accuracy"]
    assert recorded["roles"]["closer"] == [")", "]", "}"] and recorded["settings"]["seed"] == 0
    assert set(recorded["accuracy"]) == set(again) == {"all", *CONSTRUCTIONS, "hard"}
    assert recorded["accuracy"]["all"] >= 0.97 and again["all"] >= 0.97
    assert again["hard"] > 0.95  # the nearest noun, bracket or name is right in none of these


def test_untrained_model_scores_no_better_than_guessing() -> None:
    contexts = islice(marked_contexts("held-out", 99), 200)
    accuracy = grammar_model.measure_accuracy(grammar_model.build_model(MODEL).eval(), contexts)["accuracy"]
    assert 0.3 < accuracy["agreement"] < 0.7  # singular or plural
    assert accuracy["brackets"] < 0.35 and accuracy["recall"] < 0.35


def test_saved_folder_is_an_ordinary_causal_model_with_its_tokenizer(model: LoadedModel) -> None:
    assert model.kind == "causal" and model.has_unembedding and model.max_length == 64 and model.tokenizer is not None
    prompt = model.tokenizer("the boys (the dog near the cats", return_tensors="pt")
    assert prompt["input_ids"][0, 0] == TOKEN_IDS[BOS]
    with torch.inference_mode():
        verb = int(model.model(input_ids=prompt["input_ids"]).logits[0, -1].argmax())
        prompt = model.tokenizer("the boys (the dog near the cats sleeps", return_tensors="pt")
        closer = int(model.model(input_ids=prompt["input_ids"]).logits[0, -1].argmax())
    assert model.tokenizer.decode([verb]) not in ROLES["plural verb"]
    assert model.tokenizer.decode([closer]) == ")"


def test_finished_model_is_kept_and_other_settings_are_refused(grammar: Workspace) -> None:
    before = (grammar.models_dir() / "grammar" / "model.safetensors").stat().st_mtime_ns
    folder = grammar_model.run(MODEL, grammar, Progress())
    assert (folder / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(BadInput, match="begun with layers 3 instead of 4"):
        grammar_model.run(grammar_model.Config(width=96, steps=1200), grammar, Progress())


@pytest.mark.parametrize("closer", ROLES["closer"])
def test_some_feature_knows_which_bracket_must_close_and_promotes_it(
    store: Store, truth: Truth, activations: csc_array, closer: str
) -> None:
    mask = truth.is_next("brackets", (closer,))
    feature = best_feature(activations, mask)
    values = activations[:, [feature]].toarray().ravel()
    closing = truth.is_determined("brackets")
    assert area_under_curve(values, mask) > 0.95  # against all other positions
    assert area_under_curve(values[closing], mask[closing]) > 0.8  # against those where another bracket must close
    assert closer in strongest_influences(store, feature, 5)


@pytest.mark.parametrize("number", ["singular", "plural"])
def test_some_feature_knows_the_subjects_number_and_promotes_verbs_of_that_number(
    store: Store, truth: Truth, activations: csc_array, number: str
) -> None:
    before_verbs = truth.is_determined("agreement")
    verbs = ROLES[f"{number} verb"]
    mask = truth.is_next("agreement", verbs)[before_verbs]
    feature = best_feature(activations[before_verbs], mask)
    assert area_under_curve(activations[:, [feature]].toarray().ravel()[before_verbs], mask) > 0.95
    promoted = strongest_influences(store, feature, 10)
    other = ROLES["plural verb" if number == "singular" else "singular verb"]
    assert sum(word in verbs for word in promoted) >= 4  # by chance 1 of 10
    assert not any(word in other for word in promoted)


def test_most_names_have_a_feature_that_recalls_and_promotes_them(
    store: Store, truth: Truth, activations: csc_array
) -> None:
    found = []
    for name in NAMES:
        mask = truth.is_next("recall", (name,))
        feature = best_feature(activations, mask)
        knows = area_under_curve(activations[:, [feature]].toarray().ravel(), mask) > 0.95
        found.append(knows and name in strongest_influences(store, feature, 5))
    assert sum(found) >= 12  # of 16; by chance a name is among 5 of 99 tokens for 1 of 16


def test_influences_are_what_the_model_does_when_the_feature_is_taken_away(
    grammar: Workspace, store: Store, truth: Truth, activations: csc_array, model: LoadedModel
) -> None:
    feature = best_feature(activations, truth.is_next("brackets", (")",)))
    samples = activations[:, [feature]].toarray().ravel().argsort()[-20:]
    direction = torch.from_numpy(grammar.sae(store.sae_id).decoder()[feature]).float()
    contexts, positions = store.dataset.locate(samples)
    closer, changes, gains = TOKEN_IDS[")"], [], []
    for sample, context, position in zip(samples, contexts, positions, strict=True):
        first = store.dataset.offsets[context]
        tokens = torch.from_numpy(store.dataset.tokens[first : first + position + 1].astype(np.int64))[None]
        taken = float(activations[sample, feature]) * direction
        hook = model.model.transformer.h[-1].register_forward_hook(lambda _, __, out, taken=taken: _without(out, taken))
        with torch.inference_mode():
            without = model.model(input_ids=tokens).logits[0, -1]
            hook.remove()
            intact = model.model(input_ids=tokens).logits[0, -1]
        changes.append(intact - without)
        gains.append(float((intact.log_softmax(0) - without.log_softmax(0))[closer]))
    rows = store.influences(feature).rows
    change = torch.stack(changes).mean(0).numpy()
    # not 1, as the final norm scales up what is left; 0 +- 0.13 by chance
    assert np.corrcoef(change[rows["token_id"]], rows["value"])[0, 1] > 0.7
    assert change.argmax() in rows.sort_values("value", ascending=False)["token_id"].head(3).to_numpy()
    assert min(gains) > 0  # the closer is likelier with the feature, wherever it fires most


def _without(
    output: torch.Tensor | tuple[torch.Tensor, ...], taken: torch.Tensor
) -> torch.Tensor | tuple[torch.Tensor, ...]:
    """A block's output with the direction taken off its last position."""
    hidden = (output[0] if isinstance(output, tuple) else output).clone()
    hidden[:, -1] -= taken
    return (hidden, *output[1:]) if isinstance(output, tuple) else hidden


def test_layers_share_a_basis_so_features_match_by_decoder_cosine_too(grammar: Workspace) -> None:
    matches = grammar.layer_set("grammar").matches(0, 1)
    mutual = matches[matches["is_best_target"] & matches["is_best_source"] & matches["is_linked"]]
    assert len(mutual) > 50
    assert mutual["cosine"].median() > 0.5  # unrelated directions in 96 dimensions: 0 +- 0.1


def test_what_is_worth_showing_of_the_grammar_is_what_it_plants(
    grammar: Workspace, store: Store, truth: Truth, activations: csc_array
) -> None:
    found = {one.title.rpartition(" ")[0]: one for one in findings.find_all(grammar) if one.page == "feature"}
    closing = next(one for one in found.values() if "must close" in one.note)
    closer = closing.note.partition("“")[2][0]
    values = activations[:, [closing.feature]].toarray().ravel()
    assert area_under_curve(values, truth.is_next("brackets", (closer,))) >= findings.KNOWS
    assert closer in strongest_influences(store, int(closing.feature or 0), findings.PROMOTED)
    assert {"the verb must be", "the name is"} <= {title.removeprefix("It knows that ") for title in found}


def test_the_truth_of_a_dataset_is_read_only_where_the_grammar_wrote_it(store: Store, truth: Truth) -> None:
    read = findings.read_truth(store)
    assert read is not None
    assert np.array_equal(read.construction, truth.construction) and np.array_equal(read.next_token, truth.next_token)
