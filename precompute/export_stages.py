"""What an SAE's rows go through before it reads them, in an export: folded, said in the format's own words, or refused.

centre                    folded into the encoder: it reads x - mean(x) of any x, of centred rows too
layer_norm,               `normalize_activations` of SAELens; no other format normalises rows
constant_norm_rescale
standardise               a hook point of TransformerLens whose rows are standardised: SAELens names it, no other does
centre before a norm      cannot be folded: SAELens says that the model's weights are centred, no other does"""

from loaders.errors import BadInput
from precompute.formats import saelens
from precompute.row_stages import CENTRE, ROW_NORMS, STANDARDISE, RowStages
from precompute.sae_origin import PROCESSING, lens_name
from precompute.saes.sae import Sae, fold_centring


def say_stages(sae: Sae, format_name: str, sae_id: str) -> Sae:
    """The SAE whose weights, and `normalize_activations` where it is written, hold its stages.

    Raises BadInput, with the stage and a format that can say it, where this one cannot. The list of stages stays in the
    metadata, where Loupe finds it again; what is folded changes nothing a second time.
    """
    names = [stage["stage"] for stage in RowStages.of(sae.extra).stages]
    norms = [name for name in names if name in ROW_NORMS]
    if len(norms) > 1:
        raise BadInput(
            f"SAE '{sae_id}' normalises its rows {len(norms)} times ({', '.join(norms)}); no format says that."
        )
    if norms and format_name != saelens.NAME:
        raise _unsaid(sae_id, norms[0], format_name)
    needs_name = STANDARDISE if STANDARDISE in names else CENTRE if CENTRE in names and norms else None
    if needs_name and format_name != saelens.NAME:
        raise _unsaid(sae_id, needs_name, format_name)
    if needs_name and not (lens_name(sae.extra) and _is_processed(sae, needs_name)):
        raise BadInput(
            f"SAE '{sae_id}' reads rows that went through '{needs_name}', which saelens says by the name that TransformerLens"
            " has for them; this SAE came without one, so no format can say it."
        )
    return fold_centring(sae) if CENTRE in names and not needs_name else sae


def _is_processed(sae: Sae, stage: str) -> bool:
    """Whether the metadata's settings of the model bring `stage` about; an RMS norm's rows are standardised without any."""
    if any(one.get("by") == "rms" for one in RowStages.of(sae.extra).stages if one["stage"] == stage):
        return True
    asked = sae.extra.get(PROCESSING)
    return isinstance(asked, dict) and bool(asked.get("fold_ln" if stage == STANDARDISE else "center_writing_weights"))


def _unsaid(sae_id: str, stage: str, format_name: str) -> BadInput:
    return BadInput(
        f"SAE '{sae_id}' reads rows that went through '{stage}', which {format_name} cannot say and weights cannot hold."
        f" Export with --format {saelens.NAME}, which can."
    )
