"""Whether an SAE's weights are at hand: of converted activations only a record of the SAE is known."""

from loaders.errors import BadInput
from loaders.sae import SaeRecord

FILE = "sae_weights.safetensors"


def has_weights(record: SaeRecord) -> bool:
    """Whether the SAE's weights are in the workspace."""
    return (record.directory / FILE).exists()


def require_weights(record: SaeRecord, table: str) -> None:
    """Raise BadInput where a table needs weights that are not in the workspace."""
    if not has_weights(record):
        raise BadInput(
            f"Table '{table}' is made from the weights of SAE '{record.id}', which are not in this workspace: only its"
            " activations were converted. Go on without the table."
        )
