"""The verbs that ask about models, stores, features, SAEs and sets: what they answer and what they refuse."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from catalog.catalog import Catalog
from catalog.labels import put_label
from loaders.store import Store
from loaders.workspace import Workspace
from loupe.cli import main
from loupe.model_facts import as_json
from loupe.tables_text import plain
from precompute.models import load_model, measure_modules

STORE = "tiny-l0@texts"
Captured = pytest.CaptureFixture[str]


def ask(workspace: Workspace, capsys: Captured, *words: object) -> dict[str, Any]:
    """The JSON object on stdout, on which nothing else stands."""
    assert main([*map(str, words), "--workspace", str(workspace.root), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert isinstance(answer, dict)
    return answer


def read(workspace: Workspace, capsys: Captured, *words: object) -> str:
    assert main([*map(str, words), "--workspace", str(workspace.root)]) == 0
    return capsys.readouterr().out


def refuse(workspace: Workspace, capsys: Captured, *words: object) -> str:
    assert main([*map(str, words), "--workspace", str(workspace.root)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    return said.err


def copy(workspace: Workspace, folder: Path) -> Workspace:
    """Its stores and datasets, without a catalog."""
    for kind in ("stores", "datasets"):
        shutil.copytree(workspace.root / kind, folder / "w" / kind)
    return Workspace(folder / "w")


def test_list_models_shows_what_uses_each_hook_point(workspace: Workspace, capsys: Captured) -> None:
    (model,) = ask(workspace, capsys, "list-models")["models"]
    assert set(model) == {"model_id", "names", "fingerprints", "hooks"}
    assert model["model_id"] == "tiny" and len(model["fingerprints"]) == 1
    for layer, use in enumerate(model["hooks"]):
        assert use == {
            "hook": f"encoder.layer.{layer}",
            "width": 32,
            "datasets": ["texts"],
            "saes": [{"sae": f"tiny-l{layer}", "architecture": "topk", "features": 128}],
            "stores": [f"tiny-l{layer}@texts"],
        }
    said = read(workspace, capsys, "list-models").splitlines()
    assert len(said) == 3 and "tiny-l1 (topk, 128 features)" in said[2]


def test_list_models_of_an_empty_workspace_says_so(tmp_path: Path, capsys: Captured) -> None:
    assert ask(Workspace(tmp_path), capsys, "list-models") == {"models": []}
    assert read(Workspace(tmp_path), capsys, "list-models") == "No model is known to this workspace yet.\n"


def test_an_sae_that_does_not_name_its_model_is_listed_all_the_same(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "saes" / "foreign").mkdir(parents=True)
    (tmp_path / "saes" / "foreign" / "cfg.json").write_text('{"d_in": 4, "metadata": null}')
    (model,) = ask(Workspace(tmp_path), capsys, "list-models")["models"]
    (use,) = model["hooks"]
    assert (model["model_id"], use["hook"], use["width"]) == ("unknown", "unknown", 4)
    assert use["saes"] == [{"sae": "foreign", "architecture": "unknown", "features": 0}]


def test_hooks_measures_every_module(workspace: Workspace, capsys: Captured) -> None:
    answer = ask(workspace, capsys, "hooks", "tiny")
    model = load_model(workspace.models_dir() / "tiny").model
    assert [each["hook"] for each in answer["modules"]] == [each.name for each in measure_modules(model)]
    by_name = {each["hook"]: each for each in answer["modules"]}
    layer = {"hook": "encoder.layer.1", "class": "BertLayer", "shape": [1, 3, 32], "can_capture": True}
    assert by_name["encoder.layer.1"] == layer
    assert by_name["pooler"]["shape"] == [1, 32] and not by_name["pooler"]["can_capture"]
    inputs = ask(workspace, capsys, "hooks", workspace.models_dir() / "tiny", "--inputs")
    shapes = {each["hook"]: each["shape"] for each in inputs["modules"]}
    assert shapes["encoder.layer.1.output.dense"] == [1, 3, 64]
    assert "encoder.layer.1  " in read(workspace, capsys, "hooks", "tiny")


def test_overview_counts_what_the_activations_say(workspace: Workspace, store: Store, capsys: Captured) -> None:
    answer = ask(workspace, capsys, "overview", STORE, "--top", 3)
    counts = np.array([len(store.activations(feature).indices) for feature in range(store.features)])
    assert answer["nnz"] == counts.sum() and answer["l0"] == pytest.approx(counts.sum() / store.samples)
    assert answer["dead"] == (counts == 0).sum() and answer["dense"] == (counts >= 0.1 * store.samples).sum() > 0
    assert answer["density_quantiles"]["median"] == pytest.approx(np.median(counts[counts > 0]) / store.samples)
    assert list(answer["density_quantiles"]) == ["min", "q05", "q25", "median", "q75", "q95", "max"]
    assert [each["n"] for each in answer["top_density"]] == sorted(counts, reverse=True)[:3]
    strongest = answer["top_max"][0]
    assert strongest["max"] == pytest.approx(max(store.feature(f)["max"] for f in range(store.features)))
    assert strongest["tokens"] == store.top_tokens(strongest["feature"], 5)["token"].tolist()
    assert answer["quality"]["fvu"] == store.manifest["quality"]["fvu"] and answer["tables"]["stats"] == 128
    assert "128 features" not in (said := read(workspace, capsys, "overview", STORE))
    assert f"{store.samples:,} (token) in {store.dataset.contexts:,} contexts" in said


def test_examples_are_the_stores_with_their_text(workspace: Workspace, store: Store, capsys: Captured) -> None:
    answer = ask(workspace, capsys, "find-examples", STORE, 5, "--n", 4)
    expected = store.examples(5, 4)
    assert answer["population"] == expected.population and answer["population_of"] == "contexts"
    assert [each["sample"] for each in answer["examples"]] == [each.sample for each in expected.items]
    for each in answer["examples"]:
        context = store.context(each["context"])
        assert each["before"] + each["token"] + each["after"] == "".join(context.pieces)
        assert each["token"] == context.pieces[each["position"]] and each["metadata"] == context.metadata
        assert each["value"] == max(active["value"] for active in each["active"])


def test_examples_of_an_interval_lie_in_it_and_depend_on_the_seed(workspace: Workspace, capsys: Captured) -> None:
    words = ("find-examples", STORE, 5, "--n", 6, "--interval", 0.2, 0.6)
    first, again = ask(workspace, capsys, *words), ask(workspace, capsys, *words)
    assert first == again and first["sampled"] and len(first["examples"]) == 6
    assert all(first["low"] <= each["value"] <= first["high"] for each in first["examples"])
    assert ask(workspace, capsys, *words, "--seed", 1)["examples"] != first["examples"]
    said = read(workspace, capsys, *words)
    assert "6 of " in said and "drawn with seed 0" in said and "«" in said


def test_texts_do_not_steer_the_terminal() -> None:
    assert plain("a\x1b[31mred\r\n\tb") == "a [31mred b"


def test_json_has_no_word_for_what_is_no_number() -> None:
    assert json.loads(as_json({"a": [float("nan"), {"b": float("inf")}, 1.5]})) == {"a": [None, {"b": None}, 1.5]}


def test_decoder_agrees_with_the_weights(workspace: Workspace, capsys: Captured) -> None:
    answer = ask(workspace, capsys, "decoder", "tiny-l0", 3, "--top", 4)
    tensors = workspace.sae("tiny-l0").tensors
    unit = tensors["W_dec"] / np.linalg.norm(tensors["W_dec"], axis=1, keepdims=True)
    cosines = unit @ unit[3]
    cosines[3] = -1
    assert [each["feature"] for each in answer["nearest"]] == np.argsort(-cosines)[:4].tolist()
    assert answer["nearest"][0]["cosine"] == pytest.approx(cosines.max(), abs=1e-5)
    encoder = tensors["W_enc"][:, 3]
    assert answer["encoder_decoder_cosine"] == pytest.approx(encoder @ unit[3] / np.linalg.norm(encoder), abs=1e-5)
    assert answer["encoder_bias"] == pytest.approx(tensors["b_enc"][3]) and answer["threshold"] is None
    assert answer["decoder_norm"] == pytest.approx(np.linalg.norm(tensors["W_dec"][3]))
    assert "Nearest decoder directions:" in read(workspace, capsys, "decoder", "tiny-l0", 3)


def test_tracks_count_fates_and_follow_best_partners(workspace: Workspace, capsys: Captured) -> None:
    answer = ask(workspace, capsys, "track-abstractions", "tiny", "--feature", "tiny-l1@texts:7")
    layers = workspace.layer_set("tiny")
    (pair,) = answer["pairs"]
    flows = layers.flows(0, 1)
    for side in ("source", "target"):
        assert pair["fates"][side] == flows[flows["side"] == side]["fate"].value_counts()[lambda n: n > 0].to_dict()
    assert pair["threshold"] == layers.threshold(0, 1) and pair["null_draws"] == len(layers.null(0, 1))
    assert pair["null_share"] == pytest.approx((layers.null(0, 1) > layers.threshold(0, 1)).mean())
    earlier, own = answer["chain"]
    partner = layers.best_partner("tiny-l1@texts", 7, STORE)
    assert partner is not None
    assert (earlier["store"], earlier["feature"], earlier["is_linked"]) == (
        STORE,
        partner.feature_id,
        partner.is_linked,
    )
    assert (own["store"], own["feature"], own["pearson"]) == ("tiny-l1@texts", 7, None)
    assert ask(workspace, capsys, "track-abstractions", "tiny")["chain"] is None
    assert "Best partners of" in read(workspace, capsys, "track-abstractions", "tiny", "--feature", f"{STORE}:0")


def test_export_writes_one_row_per_feature_in_every_format(
    workspace: Workspace, store: Store, tmp_path: Path, capsys: Captured
) -> None:
    for extension in ("csv", "parquet", "jsonl"):
        answer = ask(workspace, capsys, "export-features", STORE, "--to", tmp_path / f"all.{extension}")
        assert answer["rows"] == answer["features"] == 128
    rows = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [row["feature_id"] for row in rows] == list(range(128))
    table = pq.read_table(tmp_path / "all.parquet").to_pylist()
    assert list(table[0]) == answer["columns"]
    assert [row["n"] for row in table] == [row["n"] for row in rows] == store.stats()["n"].tolist()
    assert table[9]["top_tokens"] == rows[9]["top_tokens"] == store.top_tokens(9, 10)["token"].tolist()
    lines = (tmp_path / "all.csv").read_text().splitlines()
    assert len(lines) == 129 and lines[0].startswith("feature_id,n,density,")


def test_export_sorts_limits_and_adds_labels(workspace: Workspace, tmp_path: Path, capsys: Captured) -> None:
    copied, target = copy(workspace, tmp_path), tmp_path / "some.jsonl"
    words = ("export-features", STORE, "--to", target, "--sort", "n", "--limit", 5, "--labels")
    ask(copied, capsys, *words)
    assert not (copied.root / "catalog.sqlite").exists()  # reading makes no catalog
    counts = copied.open_store(STORE).stats()["n"].sort_values(ascending=False, kind="stable")
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert [row["feature_id"] for row in rows] == counts.index[:5].tolist()
    assert {row["label"] for row in rows} == {None}
    best = int(counts.index[0])
    catalog = Catalog(copied.catalog_url)
    put_label(catalog, "tiny-l0", copied.open_store(STORE).sae_fingerprint, best, "brackets", "", "ada", None)
    catalog.close()
    ask(copied, capsys, *words, "--force")
    row = json.loads(target.read_text().splitlines()[0])
    assert (row["label"], row["label_author"], row["label_version"]) == ("brackets", "ada", 1)


def test_export_refuses_what_it_cannot_write(workspace: Workspace, tmp_path: Path, capsys: Captured) -> None:
    def said(name: str, *more: object) -> str:
        return refuse(workspace, capsys, "export-features", STORE, "--to", tmp_path / name, *more)

    (tmp_path / "there.csv").write_text("mine")
    assert "exists already" in said("there.csv") and (tmp_path / "there.csv").read_text() == "mine"
    assert "ends in .csv, .parquet, .jsonl" in said("a.xlsx")
    assert "There is no directory" in said("no/a.csv")
    assert "Column 'size' is unknown" in said("a.csv", "--sort", "size")
    assert "Give at least 1" in said("a.csv", "--limit", 0)
    assert [path.name for path in tmp_path.iterdir()] == ["there.csv"]


def test_questions_about_what_is_not_there_are_refused_in_one_sentence(
    workspace: Workspace, tmp_path: Path, capsys: Captured
) -> None:
    assert "There is no store 'no@thing'" in refuse(workspace, capsys, "overview", "no@thing")
    assert "has features 0 to 127" in refuse(workspace, capsys, "find-examples", STORE, 128)
    assert "Give two quantiles" in refuse(workspace, capsys, "find-examples", STORE, 1, "--interval", 0.5, 0.2)
    assert "Give two quantiles" in refuse(workspace, capsys, "find-examples", STORE, 1, "--interval", "nan", 1)
    assert "Ask for 1 to 10,000" in refuse(workspace, capsys, "find-examples", STORE, 1, "--n", 0)
    assert "no finished SAE" in refuse(workspace, capsys, "decoder", "nothing", 1)
    assert "SAE 'tiny-l0' has features 0 to 127" in refuse(workspace, capsys, "decoder", "tiny-l0", -1)
    assert "no finished layers" in refuse(workspace, capsys, "track-abstractions", "nothing")
    track = ("track-abstractions", "tiny", "--feature")
    assert "wanted STORE:ID" in refuse(workspace, capsys, *track, STORE)
    assert "is not in set 'tiny'" in refuse(workspace, capsys, *track, "a@b:1")
    assert "has features 0 to 127" in refuse(workspace, capsys, *track, f"{STORE}:500")
    assert "cannot be loaded as a model" in refuse(workspace, capsys, "hooks", tmp_path)
    assert "There is no workspace" in refuse(Workspace(tmp_path / "none"), capsys, "list-models")


def test_a_missing_table_is_named(workspace: Workspace, tmp_path: Path, capsys: Captured) -> None:
    copied = copy(workspace, tmp_path)
    directory = copied.store_dir(STORE)
    manifest = json.loads((directory / "manifest.json").read_text())
    for name in [name for name in manifest["files"] if name.startswith("tables/tokens")]:
        (directory / name).unlink()
        del manifest["files"][name]
    del manifest["tables"]["tokens"], manifest["checksum"]
    (directory / "manifest.json").write_text(json.dumps(manifest))
    said = refuse(copied, capsys, "export-features", STORE, "--to", tmp_path / "a.csv")
    assert "has no table 'tokens' yet" in said and not (tmp_path / "a.csv").exists()
    assert ask(copied, capsys, "overview", STORE)["top_max"][0]["tokens"] == []


def test_the_reading_verbs_load_no_torch(workspace: Workspace) -> None:
    code = (
        "import sys; from loupe.cli import main;"
        " codes = [main([*words.split(), '--workspace', sys.argv[1], '--json']) for words in sys.argv[2:]];"
        " sys.exit(any(codes) or 'torch' in sys.modules or 'dash' in sys.modules)"
    )
    asked = [
        "list-models",
        f"overview {STORE}",
        f"find-examples {STORE} 1",
        "decoder tiny-l0 1",
        "track-abstractions tiny",
    ]
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code, str(workspace.root), *asked], cwd=root, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
