"""One training run in memory: weights, Adam, dead features; advances step by step and can be saved and restored."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from loaders.errors import BadInput
from precompute.saes.topk import TopK, initial
from precompute.sparse_step import SparseStep, StepResult
from precompute.train_config import Config
from precompute.training_rows import TrainingRows

REVIVED_UNTIL = 0.7  # share of the run after which dead features are left alone, so that they can settle


class StepFigures(NamedTuple):
    """What one step says about itself."""

    loss: float  # mean squared residual of normalised rows
    fvu: float  # of the batch, about the training mean
    l0: float  # mean active latents per row
    lr: float
    dead: int  # features that did not fire in the last `dead_after` steps
    grad_norm: float  # before clipping


class Trainer:
    """Trains with `SparseStep` and fused Adam; decoder rows stay at unit norm, so their gradients lose the radial part."""

    def __init__(self, config: Config, rows: TrainingRows) -> None:
        d_sae = config.expansion * rows.width
        if config.k > d_sae:
            raise BadInput(
                f"k is {config.k} but the SAE has {d_sae} features. Choose a smaller k or a larger expansion."
            )
        self.config, self.rows, self.done = config, rows, 0
        self.weights = initial(rows.width, d_sae, torch.Generator().manual_seed(config.seed))
        self.last_fired = torch.zeros(d_sae, dtype=torch.int64)  # the step, counted from 1
        self._step = SparseStep(config.batch, rows.width, d_sae, config.k)
        self._adam = torch.optim.Adam(self.weights, lr=config.lr, fused=True)

    def advance(self) -> StepFigures:
        """Take one step. Raises BadInput when the loss is no longer a number."""
        config, weights = self.config, self.weights
        x = self.rows.batch(self.done)  # (batch, d_in)
        result = self._step(weights, x)
        lr = learning_rate(config, self.done)
        self.done += 1
        if not math.isfinite(result.loss):
            raise BadInput(
                f"Training '{config.sae_id}' diverged at step {self.done}: the loss is {result.loss}. Choose a smaller lr"
                f" than {config.lr:g} and delete the SAE's directory."
            )
        is_active = result.codes.values > 0
        self.last_fired[result.codes.indices[is_active].long()] = self.done
        norm = self._update(result.gradients, lr)
        dead = self.dead()
        if len(dead) and self.done % config.dead_after == 0 and self.done <= REVIVED_UNTIL * config.steps:
            self._revive(dead, result)
        fvu = result.loss / float(x.square().mean())
        return StepFigures(result.loss, fvu, float(is_active.sum()) / config.batch, lr, len(dead), norm)

    def dead(self) -> Tensor:
        """Ids of the features that did not fire in the last `dead_after` steps."""
        return torch.nonzero(self.last_fired <= self.done - self.config.dead_after).view(-1)

    def _update(self, gradients: TopK, lr: float) -> float:
        w_dec = self.weights.w_dec
        gradients.w_dec.sub_(w_dec * (gradients.w_dec * w_dec).sum(1, keepdim=True))
        norm = float(torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(part) for part in gradients])))
        for weight, gradient in zip(self.weights, gradients, strict=True):
            weight.grad = gradient if norm <= self.config.clip else gradient.mul_(self.config.clip / norm)
        for group in self._adam.param_groups:
            group["lr"] = lr
        self._adam.step()
        w_dec.div_(torch.linalg.vector_norm(w_dec, dim=1, keepdim=True))
        return norm

    def _revive(self, dead: Tensor, result: StepResult) -> None:
        """Point dead features at what badly reconstructed rows of the batch still miss; their Adam moments restart.

        Rows are drawn with a probability proportional to their squared residual, as by Bricken et al. (2023,
        "Towards Monosemanticity", neuron resampling).
        """
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + self.done)
        chosen = torch.multinomial(result.residual.square().sum(1), len(dead), replacement=True, generator=generator)
        directions = normalize(-result.residual[chosen], dim=1)
        typical = torch.linalg.vector_norm(self.weights.w_enc, dim=1).median()
        for weight, value in zip(self.weights, (directions * typical, 0.0, directions, None), strict=True):
            if value is not None:
                weight[dead] = value
                for moment in ("exp_avg", "exp_avg_sq"):
                    self._adam.state[weight][moment][dead] = 0.0
        self.last_fired[dead] = self.done

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs to go on bit-exactly; the rows' order follows from seed and step."""
        return {"weights": list(self.weights), "adam": self._adam.state_dict(), "last_fired": self.last_fired}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's `state` at its step."""
        for weight, saved in zip(self.weights, state["weights"], strict=True):
            weight.copy_(saved)
        self._adam.load_state_dict(state["adam"])
        self.last_fired.copy_(state["last_fired"])
        self.done = state["step"]


def learning_rate(config: Config, step: int) -> float:
    """Linear warm-up times linear decay from 1 at the first step to 1 / steps at the last."""
    warm = min(1.0, (step + 1) / max(config.warmup * config.steps, 1))
    return config.lr * warm * (config.steps - step) / config.steps
