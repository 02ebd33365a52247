"""The unit of the comparison: a step's one unavoidable dense product, into memory that is allocated once."""

import torch
from train_protocol import start


def main() -> None:
    feeder = start()
    spec = feeder.spec
    weight, bias = torch.randn(spec.d_sae, spec.d_in), torch.zeros(spec.d_sae)
    out = torch.empty(spec.batch, spec.d_sae)
    while True:
        torch.addmm(bias, feeder.next_batch(), weight.t(), out=out)


if __name__ == "__main__":
    main()
