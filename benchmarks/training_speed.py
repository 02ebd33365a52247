"""Seconds of a whole training step and peak memory of every trainer, all measured in turn in one run."""

import statistics
import time
from contextlib import ExitStack
from typing import Any

from benchmarks.training_process import Process, Task, Trainer, running

PRODUCT, LOUPE, SAELENS = "encode_product", "loupe", "saelens"
WHOLE = "loupe (float32)"  # without bfloat16 in the encoder's product
WARM_UP = 3  # steps of every process before the first round; its memory is watched meanwhile
PAUSE = 0.05  # seconds between two turns, in which the last one's threads stop spinning


def measure(trainers: dict[str, Trainer], task: Task, rounds: int, turn: int, threads: int) -> dict[str, Any]:
    """Take `turn` steps of every trainer in each round, and report medians over the rounds and all that was measured."""
    settings = {"lr": 1e-3, "schedule": "decay", "threads": threads}
    task = task._replace(steps=WARM_UP + rounds * turn + 1)
    seconds: dict[str, list[float]] = {name: [] for name in trainers}
    with ExitStack() as stack:
        processes: dict[str, Process] = {}
        for name, trainer in trainers.items():
            own = {**settings, "lr": 0.0} if name in (LOUPE, WHOLE) else settings
            process = processes[name] = stack.enter_context(running(trainer, task, **own))
            process.peak.watch()
            process.step(WARM_UP)
            process.peak.stop()
        for _ in range(rounds):
            for name, process in processes.items():
                time.sleep(PAUSE)
                seconds[name].append(process.step(turn) / turn)
        memory = {
            name: {
                "anonymous_gb": round(process.peak.bytes / 1e9, 3),
                "resident_gb": round(process.resident() / 1e9, 3),
            }
            for name, process in processes.items()
        }
    return {
        **{key: value for key, value in task._asdict().items() if key not in ("data", "steps")},
        "rounds": rounds,
        "steps_per_turn": turn,
        "milliseconds": {name: round(1000 * statistics.median(times), 1) for name, times in seconds.items()},
        "encode_products": {name: round(ratio(times, seconds[PRODUCT]), 2) for name, times in seconds.items()},
        "rows_per_second": {name: round(task.batch / statistics.median(times)) for name, times in seconds.items()},
        "peak_memory": memory,
        "seconds_of_each_round": {name: [round(value, 5) for value in times] for name, times in seconds.items()},
    }


def ratio(times: list[float], others: list[float]) -> float:
    """Median over the rounds of one's seconds over another's in the same round, so that what slows both falls out."""
    return statistics.median(one / other for one, other in zip(times, others, strict=True))


def times_faster(speed: dict[str, Any], peer: str) -> float:
    """Rows per second of Loupe over a peer's."""
    rounds = speed["seconds_of_each_round"]
    return round(ratio(rounds[peer], rounds[LOUPE]), 2)
