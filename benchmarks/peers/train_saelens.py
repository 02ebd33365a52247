"""SAELens's own `SAETrainer.fit` with its `TopKTrainingSAE`, unmodified; runs in its own environment."""

from collections.abc import Iterator

import torch
from sae_lens import TopKTrainingSAE, TopKTrainingSAEConfig
from sae_lens.config import SAETrainerConfig
from sae_lens.training.sae_trainer import SAETrainer
from train_protocol import Feeder, start


def batches(feeder: Feeder) -> Iterator[torch.Tensor]:
    while True:
        yield feeder.next_batch()


def main() -> None:
    feeder = start()
    spec = feeder.spec
    decays = spec.schedule == "decay"
    config = SAETrainerConfig(
        total_training_samples=spec.steps * spec.batch,
        train_batch_size_samples=spec.batch,
        lr=spec.lr,
        lr_end=spec.lr / 10,
        lr_warm_up_steps=spec.warmup if decays else 0,
        lr_decay_steps=spec.steps - spec.warmup - 1 if decays else 0,
    )
    sae = TopKTrainingSAE(TopKTrainingSAEConfig(d_in=spec.d_in, d_sae=spec.d_sae, k=spec.k))
    feeder.rebuild, feeder.decoder = sae, lambda: sae.W_dec
    SAETrainer(config, sae, batches(feeder)).fit()
    feeder.finish()


if __name__ == "__main__":
    main()
