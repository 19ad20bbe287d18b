"""Speed of an answer: a change of one input on the explore page, a customer's case, and draws of
many inputs.

Run: python tests/benchmarks/answers_speed.py
"""

import itertools
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

from trn3 import uncertainty
from trn3.study import customers, explore, savings
from trn3.uncertainty import Input

CHANGES = [
    {"model": "gpt_oss_120b"},
    {"system": "trn2_ultraserver"},
    {"rival": "hgx_h200"},
    {"n_chips": 2048},
    {"dtype": "bf16"},
    {"input_tokens": 4096},
    {"tpot_ms": 20.0},
    {"price": 5.0},
    {"utilisation": 0.4},
    {"tokens": 5e12},
    {"global_batch": 4096},
]


def best_of(call: Callable[[], object], n: int = 5) -> float:
    """Least process time of n calls [s]."""
    times = []
    for _ in range(n):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def change(values: dict[str, object]) -> None:
    """What the explore page does when one input changes."""
    answer = explore.evaluate(replace(explore.State(), **values))
    explore.chart(answer)
    explore.shown(answer)


def case(n: int) -> None:
    """A customer's case with n draws; what was drawn before is remembered."""
    made = savings.evaluate(customers.load("karakuri"), n=n)
    uncertainty.percentiles(made.saving(3.5))


def draws() -> None:
    """100,000 draws of twenty inputs."""
    given = {str(i): Input(1.0, 2.0, 3.0, "band" if i % 2 else "limits") for i in range(20)}
    uncertainty.draws(given, 100_000)


if __name__ == "__main__":
    times = [best_of(lambda values=values: change(values)) for values in CHANGES]
    print(f"{1000 * statistics.median(times):.0f} ms for a change on the explore page (median)")
    numbers = itertools.count(100_000)
    print(f"{best_of(lambda: case(next(numbers))):.2f} s for a customer's case with 100,000 draws")
    print(f"{best_of(draws):.2f} s for 100,000 draws of twenty inputs")
