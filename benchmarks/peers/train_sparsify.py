"""sparsify's own `Trainer.fit`, unmodified, on rows that a stand-in model hands to its hook; runs in its own environment.

Its learning-rate warm-up of 1,000 steps by default is longer than the run; it is 5 % of the steps here, after which Adam's
rate decays linearly to zero as its `fit` has it. `signum`, its default optimiser, is free of a schedule.
"""

import contextlib

import torch
from sparsify import SaeConfig, TrainConfig, Trainer
from torch import Tensor, nn
from train_protocol import Feeder, start


class Rows(nn.Module):
    """The module that sparsify's hook listens to: hands on the rows of the step."""

    def __init__(self, d_in: int) -> None:
        super().__init__()
        self.rows = torch.zeros(1, 1, d_in)

    def forward(self, ids: Tensor) -> Tensor:
        return self.rows[:, : ids.shape[1]]


class Model(nn.Module):
    """As much of a transformer as the trainer asks for: one context per step, whose hidden states are the batch."""

    def __init__(self, feeder: Feeder) -> None:
        super().__init__()
        self.hidden, self.feeder = Rows(feeder.spec.d_in), feeder
        self.device = torch.device("cpu")
        self.dummy_inputs = {"input_ids": torch.zeros(1, 1, dtype=torch.int64)}

    @property
    def base_model(self) -> nn.Module:
        return self

    def forward(self, input_ids: Tensor) -> Tensor:
        if input_ids.shape[1] > 1:  # else sparsify only asks for the width
            self.hidden.rows = self.feeder.next_batch()[None]  # (1, batch, d_in)
        return self.hidden(input_ids)


class Contexts:
    """A data set of as many contexts as there are steps, each as long as a batch."""

    def __init__(self, steps: int, batch: int) -> None:
        self.steps, self.ids = steps, torch.zeros(batch, dtype=torch.int64)

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"input_ids": self.ids}


@contextlib.contextmanager
def averaged(trainer: Trainer):
    """Its weights as it saves them: the schedule-free optimiser keeps an average."""
    optimisers = [optimiser for optimiser in trainer.optimizers if hasattr(optimiser, "eval")]
    for optimiser in optimisers:
        optimiser.eval()
    yield
    for optimiser in optimisers:
        optimiser.train()


def main() -> None:
    feeder = start()
    spec = feeder.spec
    config = TrainConfig(
        SaeConfig(num_latents=spec.d_sae, k=spec.k),
        batch_size=1,
        optimizer=spec.optimiser or "adam",
        lr=spec.lr,
        lr_warmup_steps=spec.warmup,
        hookpoints=["hidden"],
        init_seeds=[spec.seed],
        log_to_wandb=False,
        save_every=10**9,
    )
    trainer = Trainer(config, Contexts(spec.steps, spec.batch), Model(feeder))
    coder = trainer.saes["hidden"]

    def rebuild(x: Tensor) -> Tensor:
        with averaged(trainer):
            codes = coder.encode(x)
            return coder.decode(codes.top_acts, codes.top_indices)

    def decoder() -> Tensor:
        with averaged(trainer):
            return coder.W_dec.detach().clone()

    feeder.rebuild, feeder.decoder = rebuild, decoder
    trainer.fit()
    feeder.finish()


if __name__ == "__main__":
    main()
