"""Whether an SAE's weights are at hand: of converted activations only a record of the SAE is known."""

from loaders.errors import BadInput
from loaders.faults import FOREIGN
from loaders.sae import SaeRecord


def has_weights(record: SaeRecord) -> bool:
    """Whether weights belong to the record; where they do and are not there, reading them raises StoreDamaged."""
    return record.cfg.get("architecture") != FOREIGN


def require_weights(record: SaeRecord, table: str) -> None:
    """Raise BadInput where a table needs weights that are not in the workspace."""
    if not has_weights(record):
        raise BadInput(
            f"Table '{table}' is made from the weights of SAE '{record.id}', which are not in this workspace: only its"
            " activations were converted. Go on without the table."
        )
