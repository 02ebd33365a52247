"""Whether an artifact's SAEs fit a model: the same weights, a module at each hook point, and its width."""

from pathlib import Path
from typing import NamedTuple

from loaders.errors import BadInput
from loaders.hub_schema import Artifact
from loaders.workspace import Workspace
from precompute.models import LoadedModel, hook_points, load_model

INPUT = ".input"
"""How a hook point is marked at which a module's input was captured."""


class Fit(NamedTuple):
    """The model's id and fingerprint, and each thing that differs in one sentence."""

    model: str
    fingerprint: str
    differences: list[str]


def compare(artifact: Artifact, name: str, workspace: Workspace) -> Fit:
    """Compare with a model: minilm, a hub id, a folder, or a name in the workspace's `models/`.

    Raises BadInput for an artifact without SAEs and for a model that cannot be loaded.
    """
    if not artifact.saes:
        raise BadInput(f"'{artifact.reference}' is a {artifact.kind} and holds no SAE: there is nothing to compare.")
    own = workspace.models_dir() / name
    is_own = "/" not in name and not Path(name).is_dir() and (own / "config.json").is_file()
    loaded = load_model(own if is_own else name)
    differences = _weights(artifact, loaded)
    widths: dict[bool, dict[str, int]] = {}
    names = {known for known, _ in loaded.model.named_modules()}
    for sae in artifact.saes:
        inputs = sae.hook.endswith(INPUT) and sae.hook not in names
        hook = sae.hook.removesuffix(INPUT) if inputs else sae.hook
        if inputs not in widths:
            widths[inputs] = {point.name: point.width for point in hook_points(loaded.model, inputs=inputs)}
        width = widths[inputs].get(hook)
        if not hook:
            differences.append(f"SAE '{sae.id}' does not say which hook point it reads.")
        elif hook not in names:
            differences.append(f"SAE '{sae.id}' reads '{sae.hook}', which {loaded.model_id} does not have.")
        elif width is None:
            differences.append(f"SAE '{sae.id}' reads '{sae.hook}', where {loaded.model_id} has no hidden states.")
        elif sae.d_in is not None and width != sae.d_in:
            differences.append(
                f"SAE '{sae.id}' reads {sae.d_in:,} numbers at '{sae.hook}'; {loaded.model_id} has {width:,} there."
            )
    return Fit(loaded.model_id, loaded.fingerprint, differences)


def _weights(artifact: Artifact, loaded: LoadedModel) -> list[str]:
    made_for = artifact.model
    if made_for is None or made_for.fingerprint is None:
        return ["The artifact does not say which weights it was made for."]
    if made_for.fingerprint == loaded.fingerprint:
        return []
    return [
        f"It was made for '{made_for.name}' with weights {made_for.fingerprint[:12]}; {loaded.model_id} has"
        f" {loaded.fingerprint[:12]}."
    ]


def require_fit(artifact: Artifact, name: str, workspace: Workspace) -> None:
    """Raise BadInput that says everything that differs."""
    if differences := compare(artifact, name, workspace).differences:
        raise BadInput(
            f"'{artifact.reference}' does not fit model '{name}': {' '.join(differences)} Choose another artifact or model."
        )
