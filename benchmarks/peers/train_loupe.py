"""Loupe's own trainer at its presets, on the same rows and under the same clock as its peers."""

from pathlib import Path

import torch
from torch import Tensor
from train_protocol import start

from precompute.saes import INFERENCE
from precompute.saes.sae import decode
from precompute.train_config import Config
from precompute.trainer import Trainer

SAMPLE = 1_024  # rows that `finished` may set a threshold from; a top-k SAE needs none


def main() -> None:
    feeder = start()
    spec = feeder.spec
    chosen = {"lr": spec.lr} if spec.lr else {}
    number = spec.optimiser or "auto"  # of the encoder's product
    config = Config(
        sae_id="benchmark",
        model_id="minilm",
        dataset_id=Path(spec.data).name,
        hook="rows",
        k=spec.k,
        features=spec.d_sae,
        steps=spec.steps,
        batch=spec.batch,
        seed=spec.seed,
        threads=spec.threads,
        dtype=number,
        **chosen,
    )
    trainer = Trainer(config, spec.d_in)

    def rebuild(x: Tensor) -> Tensor:
        sae = trainer.finished(x[:SAMPLE])
        return decode(sae, INFERENCE[sae.architecture].encode_sparse(sae, x))

    feeder.rebuild, feeder.decoder = rebuild, lambda: trainer.finished(torch.zeros(1, spec.d_in)).w_dec
    while trainer.done < config.steps:
        trainer.advance(feeder.next_batch())
    feeder.finish()


if __name__ == "__main__":
    main()
