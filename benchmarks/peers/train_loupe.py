"""Loupe's own trainer at its presets, on the same rows and under the same clock as its peers."""

from pathlib import Path

import torch
from torch import Tensor
from train_protocol import Feeder, start

from precompute.saes.topk import decode, encode
from precompute.train_config import Config
from precompute.trainer import Trainer


class Rows:
    """Rows for the trainer, which come normalised."""

    def __init__(self, feeder: Feeder) -> None:
        self.width, self.scale, self.mean = feeder.spec.d_in, 1.0, torch.zeros(feeder.spec.d_in)
        self._feeder = feeder

    def batch(self, step: int) -> Tensor:
        return self._feeder.next_batch()


def main() -> None:
    feeder = start()
    spec = feeder.spec
    chosen = {"lr": spec.lr} if spec.lr else {}
    config = Config(
        sae_id="benchmark",
        model_id="minilm",
        dataset_id=Path(spec.data).name,
        hook="rows",
        k=spec.k,
        expansion=spec.d_sae // spec.d_in,
        steps=spec.steps,
        batch=spec.batch,
        seed=spec.seed,
        threads=spec.threads,
        **chosen,
    )
    trainer = Trainer(config, Rows(feeder))

    def rebuild(x: Tensor) -> Tensor:
        return decode(trainer.weights, encode(trainer.weights, x, config.k))

    feeder.rebuild, feeder.decoder = rebuild, lambda: trainer.weights.w_dec
    while trainer.done < config.steps:
        trainer.advance()
    feeder.finish()


if __name__ == "__main__":
    main()
