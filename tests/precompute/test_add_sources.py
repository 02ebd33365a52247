import pytest

from loaders.errors import BadInput
from precompute.add_sources import MOST, counted, find_saes
from precompute.sae_releases import find_published

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def write_sae(folder):
    folder.mkdir(parents=True)
    (folder / "cfg.json").write_text("{}")
    (folder / "sae_weights.safetensors").write_bytes(b"")
    return folder


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A cache of the hub as a download leaves it, and no hub."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    root = tmp_path / "models--someone--saes"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text(COMMIT)
    (root / "snapshots" / COMMIT).mkdir(parents=True)
    return root / "snapshots" / COMMIT


def test_a_folder_is_one_sae_or_all_below_it_in_the_order_of_their_layers(tmp_path):
    for layer in (10, 2, 1):
        write_sae(tmp_path / "all" / f"layer_{layer}")
    assert [one.name for one in find_saes(str(tmp_path / "all"))] == ["layer_1", "layer_2", "layer_10"]
    [one] = find_saes(str(tmp_path / "all" / "layer_2"))
    assert one.path == tmp_path / "all" / "layer_2" and one.name == ""
    assert find_saes((tmp_path / "all" / "layer_2").as_uri()) == [one]
    assert find_saes(str(tmp_path / "all" / "layer_2" / "cfg.json")) == [one]


def test_a_folder_without_saes_or_with_too_many_is_refused(tmp_path):
    with pytest.raises(BadInput, match="holds no SAE"):
        find_saes(str(tmp_path))
    for number in range(MOST + 1):
        write_sae(tmp_path / f"sae{number}")
    with pytest.raises(BadInput, match=r"holds 65 SAEs, and a set takes at most 64.*sae0, sae1, sae2"):
        find_saes(str(tmp_path))


def test_a_hub_id_is_read_from_the_cache_where_the_hub_is_out_of_reach(hub):
    write_sae(hub / "layer_3" / "wide")
    [one] = find_saes("someone/saes/layer_3/wide")
    assert one.path.samefile(hub / "layer_3" / "wide") and one.name == ""
    assert [found.name for found in find_saes("hf://someone/saes")] == ["layer_3/wide"]


def test_a_release_and_id_are_a_place_on_the_hub(hub, monkeypatch):
    release = hub.parents[2] / "models--jbloom--GPT2-Small-SAEs-Reformatted"
    hub.parents[1].rename(release)
    write_sae(release / "snapshots" / COMMIT / "blocks.8.hook_resid_pre")
    [one] = find_saes("gpt2-small-res-jb/blocks.8.hook_resid_pre")
    assert one.path.name == "blocks.8.hook_resid_pre"
    assert one.overrides == {"model_from_pretrained_kwargs": {"center_writing_weights": True}}


def test_an_unreachable_hub_is_one_clear_sentence(hub):
    with pytest.raises(
        BadInput, match=r"'someone/else/at' is no folder here and not in the hub's cache.*give the folder\.$"
    ):
        find_saes("someone/else/at")
    with pytest.raises(BadInput, match="cannot be reached"):
        find_saes("someone/saes/layer_9")


@pytest.mark.parametrize(
    "reference", ["./nowhere", "/no/such/place", "word", "org/repo/../../etc", "a b/c", "org/re*po"]
)
def test_what_is_no_reference_is_refused(reference):
    with pytest.raises(BadInput, match="no folder here, no SAELens release and no hub id"):
        find_saes(reference)


def test_releases_say_where_their_ids_lie():
    assert find_published("gpt2-small-mlp-out-v5-32k", "blocks.5.hook_mlp_out").folder == "v5_32k_layer_5"
    assert find_published("gpt2-small-resid-post-v5-32k", "blocks.5.hook_resid_post").folder == "v5_32k_layer_5.pt"
    assert (
        find_published("gemma-scope-2b-pt-res", "layer_1/width_16k/average_l0_10").repo
        == "google/gemma-scope-2b-pt-res"
    )
    assert find_published("mistral-7b-res-wg", "blocks.8.hook_resid_pre").overrides["normalize_activations"]
    assert find_published("someone", "saes") is None
    with pytest.raises(BadInput, match="is a release of many SAEs"):
        find_published("gpt2-small-res-jb", "")
    with pytest.raises(BadInput, match="names no layer"):
        find_published("mistral-7b-res-wg", "first")


def test_the_list_of_an_installed_saelens_names_every_release(tmp_path, monkeypatch):
    (tmp_path / "sae_lens").mkdir()
    (tmp_path / "sae_lens" / "__init__.py").write_text("raise ImportError('must not be imported')")
    (tmp_path / "sae_lens" / "pretrained_saes.yaml").write_text(
        "new-release:\n  repo_id: who/where\n  config_overrides: {prepend_bos: false}\n  saes:\n  - {id: a, path: folder/a}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert find_published("new-release", "a") == ("who/where", "folder/a", {"prepend_bos": False})
    assert find_published("gpt2-small-res-jb", "blocks.1.hook_resid_pre").repo.startswith("jbloom/")
    with pytest.raises(BadInput, match=r"has no SAE 'b'\. Some that it has: a"):
        find_published("new-release", "b")


def test_numbers_in_names_count_as_numbers():
    assert sorted(["l10", "l9", "a", "l9b"], key=counted) == ["a", "l9", "l9b", "l10"]
