"""What the samples of a posterior say: intervals, how far to trust them, what the sound cannot tell.

NumPy only; arrays of one target. R temperatures, m cycles, C chains, d knobs.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

LEVEL = 0.9
UNTELLABLE = 0.8  # of the prior's interval: a posterior this wide has learnt nothing
COUNTED = 0.5  # a knob counts in a coverage if its interval is narrower than this share of the prior's


class Posterior(NamedTuple):
    """A sampled posterior.

    Attributes:
        names: of the knobs.
        temperature: T that is reported, the lowest.
        samples: presets at that temperature, all chains, `[n, d]`.
        low: lower end of each knob's central 90 % interval, `[d]`.
        high: upper end, `[d]`.
        width: `high - low` over the width of the prior's own interval, `[d]`; 0 for a locked knob.
        untellable: names of the free knobs whose `width` is at least `UNTELLABLE`.
        r_hat: split R-hat of each knob, `[d]`; 1 when the chains agree, over 1.1 when they do not.
        effective: effective sample size of each knob, `[d]`.
        acceptance: shares by kind of move, each `[R]`: drift, redraw, difference.
        swaps: share of accepted swaps between neighbouring temperatures, `[R - 1]`.
        temperatures: of the ladder, `[R]`.
        by_temperature: presets at every temperature, `[R, m, C, d]`.
        loss: of these, `[R, m, C]`.
    """

    names: tuple[str, ...]
    temperature: float
    samples: np.ndarray
    low: np.ndarray
    high: np.ndarray
    width: np.ndarray
    untellable: tuple[str, ...]
    r_hat: np.ndarray
    effective: np.ndarray
    acceptance: dict[str, np.ndarray]
    swaps: np.ndarray
    temperatures: np.ndarray
    by_temperature: np.ndarray
    loss: np.ndarray

    def record(self) -> dict[str, object]:
        """JSON-ready summary, without the samples."""
        knobs = {
            name: {"low": low, "high": high, "width": width, "r_hat": r_hat, "effective": count}
            for name, *row in zip(
                self.names, self.low, self.high, self.width, self.r_hat, self.effective, strict=True
            )
            for low, high, width, r_hat, count in [[float(x) for x in row]]
        }
        shares = {name: [float(x) for x in share] for name, share in self.acceptance.items()}
        return {
            "temperature": self.temperature,
            "samples": len(self.samples),
            "knobs": knobs,
            "untellable": list(self.untellable),
            "acceptance": shares,
            "swaps": [float(x) for x in self.swaps],
        }


class Calibration(NamedTuple):
    """How each temperature of a grid fared on targets with known presets.

    Attributes:
        temperature: the one to use.
        temperatures: of the grid, `[R]`.
        coverage: share of counted knobs whose interval holds the truth, `[R]`; NaN where none counts.
        counted: knobs that count, over all targets, `[R]`.
    """

    temperature: float
    temperatures: np.ndarray
    coverage: np.ndarray
    counted: np.ndarray


class SummarySetup(NamedTuple):
    """What samples are told by.

    Attributes:
        names: of the knobs.
        temperatures: of the ladder.
        choices: of discrete knobs, `[d]`.
        free: 1 for knobs that may move, `[d]`.
        prior_widths: of the prior's intervals of a level, `[d]`.
    """

    names: Sequence[str]
    temperatures: Sequence[float]
    choices: np.ndarray
    free: np.ndarray
    prior_widths: Callable[[float], np.ndarray]


def summarize(cycles: Any, setup: SummarySetup) -> Posterior:
    """Summary of the recorded cycles.

    Args:
        cycles: a `ddsprl.fitting.posterior.chains.Record` of m cycles: `u [m, R, C, d]`, `loss [m, R, C]`,
            `drifts [m, R]`, `jumps [m, 2, R]` and `swaps [m, R - 1]`.
        setup: knobs, ladder and prior.
    """
    u, loss, drifts, jumps, swaps = cycles
    names, temperatures, choices, free, prior_widths = setup
    cold = np.asarray(u[:, 0], float)
    samples = cold.reshape(-1, cold.shape[-1])
    low, high = interval(samples, choices)
    width = np.where(free > 0, (high - low) / np.maximum(prior_widths(LEVEL), 1e-9), 0.0)
    counts = np.maximum(np.sum(~np.isnan(swaps), axis=0), 1)
    return Posterior(
        names=tuple(names),
        temperature=float(temperatures[0]),
        samples=samples,
        low=low,
        high=high,
        width=width,
        untellable=tuple(n for n, w, f in zip(names, width, free, strict=True) if f > 0 and w >= UNTELLABLE),
        r_hat=np.array([split_r_hat(cold[..., i]) for i in range(cold.shape[-1])]),
        effective=np.array([effective_samples(cold[..., i]) for i in range(cold.shape[-1])]),
        acceptance={
            "drift": drifts.mean(axis=0),
            "redraw": jumps[:, 0].mean(axis=0),
            "difference": jumps[:, 1].mean(axis=0),
        },
        swaps=np.nansum(swaps, axis=0) / counts,
        temperatures=np.asarray(temperatures, float),
        by_temperature=np.moveaxis(u, 1, 0),
        loss=np.moveaxis(loss, 1, 0),
    )


def interval(samples: np.ndarray, choices: np.ndarray, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the central interval of each knob, `[d]` each; those of a discrete knob are choices.

    Args:
        samples: `[n, d]`.
        choices: 0 for a continuous knob, `[d]`.
        level: share of the samples inside.
    """
    tails = [0.5 * (1.0 - level), 0.5 * (1.0 + level)]
    smooth = np.quantile(samples, tails, axis=0)
    whole = np.quantile(samples, tails, axis=0, method="inverted_cdf")
    low, high = np.where(choices > 0, whole, smooth)
    return low, high


def holds(low: np.ndarray, high: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Whether an interval holds the truth, elementwise; a choice on its edge is inside."""
    return (truth >= low - 1e-4) & (truth <= high + 1e-4)


def split_r_hat(chains: np.ndarray) -> float:
    """Split R-hat of a scalar (Gelman et al. 2013, section 11.4): 1 when all halves of all chains agree.

    Args:
        chains: `[m, C]`; 1 is returned for a scalar that never moves.
    """
    halves = _halves(chains)
    n = len(halves)
    within = halves.var(axis=0, ddof=1).mean()
    between = n * halves.mean(axis=0).var(ddof=1)
    if within <= 1e-16:
        return 1.0 if between <= 1e-12 else np.inf
    return float(np.sqrt(((n - 1) / n * within + between / n) / within))


def effective_samples(chains: np.ndarray) -> float:
    """Effective sample size of a scalar over all chains (Gelman et al. 2013, section 11.5).

    The sum of autocorrelations ends at the first negative pair (Geyer 1992).

    Args:
        chains: `[m, C]`.
    """
    halves = _halves(chains)
    n, count = halves.shape
    centred = halves - halves.mean(axis=0)
    power = np.abs(np.fft.rfft(centred, 2 * n, axis=0)) ** 2
    covariance = np.fft.irfft(power, axis=0)[:n].mean(axis=1) / n
    within = halves.var(axis=0, ddof=1).mean()
    pooled = (n - 1) / n * within + halves.mean(axis=0).var(ddof=1)
    if pooled <= 1e-16:
        return float(n * count)
    correlation = 1.0 - (within - covariance * n / (n - 1)) / pooled
    pairs = correlation[0 : n - n % 2 : 2] + correlation[1 : n - n % 2 + 1 : 2]
    end = np.argmax(pairs < 0.0) if (pairs < 0.0).any() else len(pairs)
    # Pairs may only fall (Geyer's monotone sequence).
    total = -1.0 + 2.0 * np.minimum.accumulate(pairs[:end]).sum()
    return float(n * count / max(total, 1.0 / np.log10(n * count + 10.0)))


def _halves(chains: np.ndarray) -> np.ndarray:
    """First and second halves side by side, `[m // 2, 2 C]`."""
    n = len(chains) // 2
    return np.concatenate([chains[:n], chains[-n:]], axis=1)


def ranks(samples: np.ndarray, truth: np.ndarray, seed: int = 0) -> np.ndarray:
    """Share of the samples below the truth, `[d]`; ties (of a discrete knob) are broken at random.

    Over many targets these are uniform where a posterior is right (Talts et al. 2018, arXiv 1804.06788).
    """
    below = (samples < truth - 1e-6).mean(axis=0)
    tied = (np.abs(samples - truth) <= 1e-6).mean(axis=0)
    return below + np.random.default_rng(seed).uniform(size=len(truth)) * tied


def calibrate_temperature(
    ladders: Sequence[np.ndarray],
    truths: Sequence[np.ndarray],
    *,
    temperatures: Sequence[float],
    choices: np.ndarray,
    prior_width: np.ndarray,
    level: float = LEVEL,
    least: int = 10,
) -> Calibration:
    """The lowest temperature of a grid whose intervals hold the truth often enough.

    A ladder of temperatures is a grid: one run a target says how all of them fare. T is the lowest one whose
    coverage reaches `level`, or, where none does, the one with the highest coverage. Choose it on other
    targets than those that are reported.

    Args:
        ladders: `Posterior.by_temperature` of each target, `[R, m, C, d]`.
        truths: its true preset, `[d]`.
        temperatures: of the ladder, rising, R.
        choices: of discrete knobs, `[d]`.
        prior_width: of the prior's interval of this level, `[d]`.
        level: of the intervals.
        least: a temperature with fewer counted knobs is not chosen, unless all are such.
    """
    inside, counted = (np.zeros(len(temperatures)) for _ in range(2))
    for ladder, truth in zip(ladders, truths, strict=True):
        for r, samples in enumerate(ladder):
            low, high = interval(samples.reshape(-1, samples.shape[-1]), choices, level)
            narrow = (high - low) / prior_width < COUNTED
            inside[r] += np.sum(holds(low, high, truth) & narrow)
            counted[r] += np.sum(narrow)
    coverage = np.where(counted > 0, inside / np.maximum(counted, 1), np.nan)
    allowed = counted >= min(least, counted.max())
    reached = np.flatnonzero(allowed & (coverage >= level))
    best = int(reached[0]) if len(reached) else int(np.nanargmax(np.where(allowed, coverage, np.nan)))
    return Calibration(float(temperatures[best]), np.asarray(temperatures, float), coverage, counted)
