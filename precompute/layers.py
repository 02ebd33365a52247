"""Match the features of every pair of layers in a set by co-activation over the same samples, against a permutation null."""

import json
import shutil
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from loaders.errors import BadInput
from loaders.manifest import is_published, read_manifest
from loaders.schema import SCHEMA_VERSION
from loaders.store import Store
from loaders.workspace import Workspace
from precompute.layer_pairs import Layer, LayerPair, LinkRule
from precompute.progress import Progress
from precompute.publish import list_files, write_json
from precompute.sample_blocks import SampleBlocks

PLAN = "plan.json"


@dataclass(frozen=True)
class Config:
    set: str
    """Id of the set; its members are the published stores that name it, in layer order."""
    shared_basis: bool = False
    """Whether the layers share a basis (a pre-norm residual stream does), so that decoder cosines mean something."""
    permutations: int = 2
    """Permutations of the samples for the null."""
    quantile: float = 0.999
    """Pairs are linked when they correlate more than this share of the null's best correlations."""
    floor: float = 0.0
    """Smallest correlation that links, however low the null's quantile is; 0.3 is a medium effect (Cohen 1988)."""
    seed: int = 0
    """Seed of the permutations."""
    jobs: int = 2
    """Threads; the result does not depend on it."""


def run(config: Config, workspace: Workspace, progress: Progress) -> Path:
    """Write `layers/<set>/` and return it; kept when it is there for the same members and settings.

    Pairs that an interrupted run finished are kept too. Raises BadInput for a set of fewer than two layers, or whose
    members come from different models or datasets.
    """
    stores = _open_members(config.set, workspace)
    target = workspace.layers_dir(config.set)
    plan = {
        "settings": {name: value for name, value in asdict(config).items() if name != "jobs"},
        "members": [_describe(store) for store in stores],
    }
    if is_published(target) and read_manifest(target, "layers")["plan"] == plan:
        return target
    work = _prepare(target.with_name(target.name + ".tmp"), plan)
    pairs = list(combinations(range(len(stores)), 2))
    products = 2 + config.permutations
    with progress.step(f"layers {config.set}", len(pairs) * products, "products") as bar:
        layers = [_read(store, config.shared_basis, workspace) for store in stores]
        for i, j in pairs:
            if (work / f"pair_{i}_{j}.json").exists():
                bar.skip(products)
                continue
            seeds = [[config.seed, i, j, number] for number in range(config.permutations)]
            rule = LinkRule(seeds, config.quantile, config.floor)
            pair = LayerPair(layers[i], layers[j], config.jobs)
            summary = pair.match(work, (i, j), rule, bar.advance)
            summary |= {"permutations": config.permutations, "seed": config.seed}
            write_json(work / f"pair_{i}_{j}.json", summary)
        _publish(work, target, plan, [work / f"pair_{i}_{j}.json" for i, j in pairs])
    return target


def _open_members(set_id: str, workspace: Workspace) -> list[Store]:
    found = workspace.sets().get(set_id, [])
    if len(found) < 2:
        raise BadInput(
            f"Set '{set_id}' has {len(found)} layers; matching needs two or more. Harvest more SAEs into it."
        )
    stores = [workspace.open_store(store_id) for store_id in found]
    for kind in ("model", "dataset"):
        for store in stores[1:]:
            if store.manifest["fingerprints"][kind] != stores[0].manifest["fingerprints"][kind]:
                raise BadInput(
                    f"Stores '{stores[0].id}' and '{store.id}' of set '{set_id}' were made from different {kind}s, so"
                    " their samples cannot be compared. Harvest both again, or put them in different sets."
                )
    return stores


def _describe(store: Store) -> dict[str, Any]:
    layer = store.manifest["layer_index"]
    return {"store": store.id, "layer_index": layer, "hook": store.hook, "fingerprint": store.fingerprint}


def _prepare(work: Path, plan: dict[str, Any]) -> Path:
    """Keep an interrupted run's directory when it had the same plan, else begin with an empty one."""
    if not (work / PLAN).exists() or json.loads((work / PLAN).read_text()) != plan:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        write_json(work / PLAN, plan)
    return work


def _read(store: Store, shared_basis: bool, workspace: Workspace) -> Layer:
    decoder = workspace.sae(store.sae_id).decoder() if shared_basis else None
    return Layer.read(SampleBlocks.open(store.directory), decoder)


def _publish(work: Path, target: Path, plan: dict[str, Any], summaries: list[Path]) -> None:
    """Fold the pairs' summaries into the manifest, written last, and put the directory in its place."""
    pairs = [json.loads(path.read_text()) for path in summaries]
    for path in [work / PLAN, *summaries]:
        path.unlink()
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "kind": "layers",
        "id": target.name,
        "members": plan["members"],
        "pairs": pairs,
        "shared_basis": plan["settings"]["shared_basis"],
        "plan": plan,
        "files": list_files(work, {}),
    }
    write_json(work / "manifest.json", manifest)
    shutil.rmtree(target, ignore_errors=True)
    work.rename(target)
