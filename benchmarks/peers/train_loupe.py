"""Loupe's own trainer at its presets, on the same rows and under the same clock as its peers."""

from pathlib import Path

from torch import Tensor
from train_protocol import Feeder, start

from precompute.saes.sae import decode
from precompute.saes.topk import encode_sparse
from precompute.train_config import Config
from precompute.trainer import Trainer


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
    trainer = Trainer(config, spec.d_in)

    def rebuild(x: Tensor) -> Tensor:
        return decode(trainer.weights, encode_sparse(trainer.weights, x))

    feeder.rebuild, feeder.decoder = rebuild, lambda: trainer.weights.w_dec
    while trainer.done < config.steps:
        trainer.advance(feeder.next_batch())
    feeder.finish()


if __name__ == "__main__":
    main()
