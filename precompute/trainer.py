"""One SAE in training: weights, Adam, dead features; advances batch by batch and can be saved and restored."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from loaders.errors import BadInput
from precompute.devices import choose_device, product_dtype
from precompute.processes import Processes
from precompute.revival import REVIVED_UNTIL, ROWS_FOR_EACH, begin_anew
from precompute.saes import ARCHITECTURES, BY_K
from precompute.saes.dense_step import with_parameters
from precompute.saes.sae import Sae
from precompute.saes.settings import Settings
from precompute.saes.steps import StepResult
from precompute.train_config import NARROW, Config, features_of, usual_rate

HOPELESS = 10.0  # FVU of a batch above which a run, once warm, diverges: an SAE that says nothing has 1

PATIENCE = 20  # such batches in a row that end a run; fewer may follow features that begin anew


class StepFigures(NamedTuple):
    """What one step says about itself, over the rows of all processes."""

    loss: float  # what is minimised
    fvu: float  # of the batch, about the training mean
    l0: float  # mean active latents per row
    lr: float
    dead: int  # features that did not fire in the last `dead_after` steps
    grad_norm: float  # before clipping
    parts: dict[str, float]  # parts of the loss beside the mean squared residual


class Trainer:
    """Trains by the architecture's step and fused Adam; decoder rows stay at unit norm, so their gradients lose the radial part.

    With several processes each sees its share of every batch; gradients are averaged, so that all take the same step.
    """

    def __init__(self, config: Config, width: int, processes: Processes | None = None) -> None:
        self.processes = processes or Processes()
        self.settings = settings_of(config, width, self.processes.size)
        self.config, self.done = config, 0
        self.lr = config.lr or usual_rate(self.settings.d_sae, config.steps)
        self.architecture = ARCHITECTURES[config.architecture]
        weights = self.architecture.begin(self.settings, torch.Generator().manual_seed(config.seed))
        weights.w_enc.mul_(first_scale(config, self.settings))
        self.weights = self._placed(weights)
        self._first = {name: float(bias[0]) for name, bias in weights.biases.items()}
        self.last_fired = torch.zeros(self.settings.d_sae, dtype=torch.int64, device=self.settings.device)
        self.hopeless = 0  # batches in a row
        self.begun = torch.zeros_like(self.last_fired)  # the step at which a feature was last begun anew
        shared = self.processes if self.processes.size > 1 else None
        self._step: Callable[..., StepResult] = self.architecture.make_step(self.settings, shared)
        self._adam = torch.optim.Adam(
            list(self.weights.parameters.values()), betas=(config.beta1, config.beta2), fused=True
        )

    def _placed(self, weights: Sae) -> Sae:
        return with_parameters(weights, {k: v.to(self.settings.device) for k, v in weights.parameters.items()})

    @torch.no_grad()
    def advance(self, x: Tensor) -> StepFigures:
        """Take one step on normalised rows `x` [batch, d_in], this process's share.

        Raises BadInput, before anything is changed, when the loss is no longer a number or the reconstruction is hopeless.
        """
        config, dead = self.config, self.dead()
        result = self._step(self.weights, x.to(self.settings.device), dead, self.done / config.steps)
        fired = torch.zeros_like(self.last_fired)
        fired[result.fired] = 1
        means = [result.loss, result.mse, float(x.square().mean()), len(result.fired) / len(x), *result.parts.values()]
        loss, mse, variance, l0, *parts = self.processes.average(means)
        self._require_sense(loss, mse / variance)
        self.processes.share(list(result.gradients.values()), fired)
        lr = self.lr * learning_rate(config, self.done)
        norm = self._update(result.gradients, lr)
        self.done += 1
        self.last_fired[fired > 0] = self.done
        self._begin_anew(result.residual)
        named = dict(zip(result.parts, parts, strict=True))
        return StepFigures(loss, mse / variance, l0, lr, len(dead), norm, named)

    def dead(self) -> Tensor:
        """Ids of the features that did not fire in the last `dead_after` steps."""
        return torch.nonzero(self.last_fired <= self.done - self.config.dead_after).view(-1)

    def _begin_anew(self, residual: Tensor) -> None:
        """What stayed dead for as long again as it takes to count as dead begins anew."""
        config = self.config
        if not config.aux_weight or self.done % config.dead_after or self.done > REVIVED_UNTIL * config.steps:
            return
        since = torch.maximum(self.last_fired, self.begun)
        lost = torch.nonzero(since <= self.done - 2 * config.dead_after).view(-1)
        most = config.batch // ROWS_FOR_EACH  # the others wait, those that were dead for longest come first
        lost = lost[since[lost].argsort(stable=True)[:most]]
        if len(lost):
            seed = config.seed * 1_000_003 + self.done
            begin_anew(self.weights, self._adam, self._first, lost, residual, seed, self.processes)
            self.begun[lost] = self.done

    def finished(self, sample: Tensor) -> Sae:
        """The SAE as it would be used now, on normalised rows; `sample` [n, d_in] sets the threshold of a batch top-k one.

        It lies on the trainer's device, and its tensors may be the trainer's own: the next step changes them.
        """
        finished: Sae = self.architecture.finish(self.weights, sample)
        return finished

    def _require_sense(self, loss: float, fvu: float) -> None:
        is_warm = self.done >= self.config.warmup * self.config.steps
        self.hopeless = self.hopeless + 1 if fvu > HOPELESS and is_warm else 0
        if math.isfinite(loss) and self.hopeless < PATIENCE:
            return
        found = f"the loss is {loss:.3g}" if not math.isfinite(loss) else f"the FVU of a batch is {fvu:.3g}"
        raise Diverged(self.config.sae_id, self.done + 1, found, self.lr)

    def _update(self, gradients: dict[str, Tensor], lr: float) -> float:
        w_dec = self.weights.w_dec
        along = gradients["w_dec"]
        along.addcmul_(w_dec, torch.bmm(along[:, None], w_dec[:, :, None])[:, 0], value=-1)  # products without a copy
        norm = float(torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients.values()])))
        for name, weight in self.weights.parameters.items():
            gradient = gradients[name]
            weight.grad = gradient if norm <= self.config.clip else gradient.mul_(self.config.clip / norm)
        for group in self._adam.param_groups:
            group["lr"] = lr
        self._adam.step()
        w_dec.div_(torch.linalg.vector_norm(w_dec, dim=1, keepdim=True))
        return norm

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs to go on bit-exactly; the rows' order follows from seed and step."""
        return {
            "weights": self.weights.parameters,
            "adam": self._adam.state_dict(),
            "last_fired": self.last_fired,
            "begun": self.begun,
            "hopeless": self.hopeless,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's `state` at its step."""
        for name, weight in self.weights.parameters.items():
            weight.copy_(state["weights"][name])
        self._adam.load_state_dict(state["adam"])
        self.last_fired.copy_(state["last_fired"])
        self.begun.copy_(state["begun"])
        self.hopeless = state["hopeless"]
        self.done = state["step"]


class Diverged(BadInput):
    """A run whose loss is no longer a number, or whose reconstruction is worse than none by far."""

    def __init__(self, sae_id: str, step: int, found: str, lr: float, checkpoint: str = "") -> None:
        self.parts = (sae_id, step, found, lr)
        kept = f"The last good checkpoint is '{checkpoint}'." if checkpoint else "No checkpoint had been written yet."
        super().__init__(
            f"Training '{sae_id}' diverged at step {step}: {found}. {kept} Choose a smaller lr than {lr:g} and another id,"
            " or delete the SAE's directory."
        )


def settings_of(config: Config, width: int, processes: int) -> Settings:
    """What the architecture reads of a run; raises BadInput for what does not fit its width or number of processes."""
    d_sae = features_of(config, width)
    if config.architecture in BY_K and config.k > d_sae:
        raise BadInput(f"k is {config.k} but the SAE has {d_sae} features. Choose a smaller k or more features.")
    if config.batch % processes:
        raise BadInput(
            f"A batch of {config.batch} cannot be shared by {processes} processes evenly. Choose a multiple."
        )
    architecture, device = ARCHITECTURES[config.architecture], choose_device(config.device)
    return Settings(
        width,
        d_sae,
        config.k,
        config.batch // processes,
        config.sparsity or getattr(architecture, "SPARSITY", 0.0),
        config.bandwidth or getattr(architecture, "BANDWIDTH", 0.0),
        config.levels,
        min(config.aux_k or width // 2, d_sae),
        config.aux_weight,
        product_dtype(config.dtype, device),
        device,
    )


def first_scale(config: Config, settings: Settings) -> float:
    """Norm of the encoder's rows before the first step; in wide SAEs they begin fainter.

    Where nothing bounds how many latents fire, half of them do at first, and their sum must not overshoot. Where k bounds it,
    16,384 features that begin at 0.3 instead of 0.5 reach an FVU of 0.306 instead of 0.315 after 30 steps.
    """
    if config.architecture in BY_K:
        return config.encoder_scale * (max(settings.d_sae, NARROW) / NARROW) ** -0.3
    return config.encoder_scale * min(1.0, 8 * settings.d_in / settings.d_sae)


def learning_rate(config: Config, step: int) -> float:
    """The share of the peak rate at a step: linear warm-up, a plateau, linear decay that would reach 0 after the last step."""
    warm = min(1.0, (step + 1) / max(config.warmup * config.steps, 1))
    cool = min(1.0, (config.steps - step) / max(config.decay * config.steps, 1))
    return warm * cool
