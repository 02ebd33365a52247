"""dictionary_learning's own `trainSAE` and `TopKTrainer`, unmodified; runs in its own environment.

Its warm-up of 1,000 steps by default is longer than the run; it is 5 % of the steps here.
"""

from collections.abc import Iterator
from typing import Any

import torch
from dictionary_learning.trainers.top_k import TopKTrainer
from dictionary_learning.training import trainSAE
from train_protocol import Feeder, start


def batches(feeder: Feeder) -> Iterator[torch.Tensor]:
    while True:
        yield feeder.next_batch()


def main() -> None:
    feeder = start()
    spec = feeder.spec

    def trainer(**settings: Any) -> TopKTrainer:
        made = TopKTrainer(**settings)
        feeder.rebuild, feeder.decoder = made.ae, lambda: made.ae.decoder.weight.T
        return made

    settings = {
        "trainer": trainer,
        "steps": spec.steps,
        "activation_dim": spec.d_in,
        "dict_size": spec.d_sae,
        "k": spec.k,
        "layer": 0,
        "lm_name": "rows",
        "lr": spec.lr,
        "warmup_steps": spec.warmup,
        "decay_start": spec.warmup + 1 if spec.schedule == "decay" else None,
        "seed": spec.seed,
        "device": "cpu",
    }
    trainSAE(data=batches(feeder), trainer_configs=[settings], steps=spec.steps, device="cpu")
    feeder.finish()


if __name__ == "__main__":
    main()
