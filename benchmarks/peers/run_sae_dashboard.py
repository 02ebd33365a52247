"""SAEDashboard over a folder that `benchmarks.dashboards` wrote; runs in the peer's own environment.

Prints one JSON line: seconds for each number of features, from a loaded model to saved files.
"""

import json
import sys
import time
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
import numpy as np  # noqa: E402
import torch  # noqa: E402
from sae_dashboard.data_writing_fns import save_feature_centric_vis  # noqa: E402
from sae_dashboard.sae_vis_data import SaeVisConfig  # noqa: E402
from sae_dashboard.sae_vis_runner import SaeVisRunner  # noqa: E402
from sae_lens import SAE  # noqa: E402
from sae_lens.analysis.hooked_sae_transformer import HookedSAETransformer  # noqa: E402
from transformer_lens import HookedTransformerConfig  # noqa: E402
from transformer_lens.pretrained.weight_conversions import convert_gpt2_weights  # noqa: E402
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast  # noqa: E402


def load_model(folder: Path) -> HookedSAETransformer:
    """The same weights as a HookedTransformer; raises when the logits differ."""
    plain = GPT2LMHeadModel.from_pretrained(folder).eval()
    given = plain.config
    config = HookedTransformerConfig(
        n_layers=given.n_layer,
        d_model=given.n_embd,
        n_ctx=given.n_positions,
        d_head=given.n_embd // given.n_head,
        n_heads=given.n_head,
        d_mlp=4 * given.n_embd,
        d_vocab=given.vocab_size,
        act_fn="gelu_new",
        eps=given.layer_norm_epsilon,
        normalization_type="LN",
    )
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer.init_kwargs["add_bos_token"] = (
        True  # or TransformerLens would load it again by the class of another version
    )
    model = HookedSAETransformer(config, tokenizer=tokenizer, default_padding_side="right")
    model.load_state_dict(convert_gpt2_weights(plain, model.cfg), strict=False)
    tokens = torch.arange(20)[None]
    with torch.no_grad():
        difference = (plain(tokens).logits.softmax(-1) - model(tokens).softmax(-1)).abs().max()
    if difference > 1e-4:
        raise SystemExit(f"The converted model differs from the original by {difference}.")
    return model


def main() -> None:
    folder, counts = Path(sys.argv[1]), [int(word) for word in sys.argv[2:]]
    torch.set_num_threads(2)
    model = load_model(folder / "models" / "tiny")
    tokens = torch.from_numpy(np.load(folder / "tokens.npy"))
    seconds = {}
    for count in counts:
        encoder = SAE.load_from_disk(folder / "saes" / "tiny", device="cpu")
        encoder.cfg.rescale_acts_by_decoder_norm = True  # the same for unit rows, and SAEDashboard takes no other
        config = SaeVisConfig(
            hook_point="blocks.0.hook_resid_post", features=list(range(count)), ignore_tokens=set(), ignore_positions=[]
        )
        start = time.perf_counter()
        found = SaeVisRunner(config).run(encoder=encoder, model=model, tokens=tokens)
        save_feature_centric_vis(found, folder / f"dashboard-{count}.html")
        seconds[count] = round(time.perf_counter() - start, 2)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
