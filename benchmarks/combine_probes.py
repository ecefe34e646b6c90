"""How many backdoors a combination of three probes detects at 5 %, by the number of clean references.

Simulated normal scores; of the audited network, ``hit`` probes score 4 deviations higher. ``hit`` 0 is the
false-positive rate. All three combinations are ranked again among the references.

    python -m benchmarks.combine_probes
"""

from __future__ import annotations

import numpy as np

from models.probes.calibration.combine import squared_excess

SETS, PROBES, SHIFT, ALPHA = 1_500, 3, 4.0, 0.05


def main() -> None:
    random = np.random.default_rng(0)
    print(f"{'n':>4} {'hit':>4} {'smallest p':>11} {'Cauchy':>8} {'ours':>8}")
    for n in (19, 39, 99):
        for hit in range(PROBES + 1):
            rates = np.mean([detected(random, n, hit) for _ in range(SETS)], axis=0)
            print(f"{n:>4} {hit:>4} {rates[0]:>11.3f} {rates[1]:>8.3f} {rates[2]:>8.3f}", flush=True)


def detected(random: np.random.Generator, n: int, hit: int) -> list[bool]:
    scores = random.normal(size=(n + 1, PROBES))
    scores[-1, :hit] += SHIFT
    p = (scores[None] >= scores[:, None]).mean(1)
    cauchy = np.tan((0.5 - p.clip(max=0.999)) * np.pi).sum(1)
    combined = (-p.min(1), cauchy, squared_excess(scores).sum(1))
    return [bool((totals >= totals[-1]).mean() <= ALPHA + 1e-9) for totals in combined]


if __name__ == "__main__":
    main()
