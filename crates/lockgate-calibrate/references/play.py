"""Plays the packages `confseq` and `ville` over streams and writes down when each stops.

usage: play.py STREAMS.json TOLD.json
"""

import json
import sys

import numpy as np
from confseq.betting import betting_mart, diversified_betting_mart
from confseq.boundaries import beta_binomial_log_mixture
from confseq.betting_strategies import lambda_predmix_eb
from ville import BernoulliTest, BettingTest


def first(reached, length):
    """The first observation at which something holds, or the last."""
    at = np.flatnonzero(reached)
    return int(at[0]) + 1 if at.size else length


def constant(stake):
    """A bet that is always the same."""
    return lambda x, m: np.repeat(stake, len(x))


def mixture(x, m, bets):
    """The logarithm of the wealth of a mixture of fixed bets after all of x."""
    wealth = diversified_betting_mart(
        x,
        m,
        lambdas_fns_positive=[constant(stake) for stake in bets["stakes"]],
        lambdas_weights=np.array(bets["parts"]),
        theta=1,
        trunc_scale=1,
        m_trunc=True,
    )
    return float(np.log(wealth[-1]))


def stop(test, x):
    """When one of ville's tests stops, or the last."""
    return test.fit(x).stopping_time() or len(x)


def confseq_rate(x, limit, alpha):
    """When confseq's one-sided beta-binomial mixture passes its bar."""
    hits = np.cumsum(x)
    n = np.arange(1, len(x) + 1)
    excess = hits - limit * n
    # In the package's terms: success at 1 - limit above the mean, failure limit below it.
    variance = limit * (1 - limit) * n
    v_opt = limit * (1 - limit) * 500
    log_e = beta_binomial_log_mixture(excess, variance, v_opt, limit, 1 - limit, 0.05, True)
    return first(log_e >= np.log(1 / alpha), len(x))


def confseq_scores(x, m, alpha):
    """When confseq's betting martingale with predictable bets stops."""
    wealth = betting_mart(
        x, m, alpha=alpha, lambdas_fn_positive=lambda x, m: lambda_predmix_eb(x, alpha=alpha), theta=1
    )
    return first(wealth >= 1 / alpha, len(x))


def main():
    with open(sys.argv[1]) as file:
        given = json.load(file)
    alpha, limit, floor = given["alpha"], given["limit"], given["floor"]
    rates = [np.array(stream, dtype=float) for stream in given["rates"]]
    # Ours asks whether the scores are under the floor; the packages ask whether what is missing is over the rest.
    missing = [1 - np.array(stream, dtype=float) / 100 for stream in given["scores"]]
    rest = 1 - floor
    scaled = [stake / rest for stake in given["score_stakes"]["stakes"]]
    told = {
        "ville_bernoulli": [stop(BernoulliTest(limit, alpha=alpha), x) for x in rates],
        "ville_betting_rate": [
            stop(BettingTest(limit, alternative="greater", alpha=alpha), x) for x in rates
        ],
        "confseq_rate": [confseq_rate(x, limit, alpha) for x in rates],
        "ville_betting_scores": [
            stop(BettingTest(rest, alternative="greater", alpha=alpha), x) for x in missing
        ],
        "confseq_scores": [confseq_scores(x, rest, alpha) for x in missing],
        "mixture_rates": [mixture(x[:500], limit, given["rate_bets"]) for x in rates],
        "mixture_scores": [
            mixture(x[:200], rest, {"stakes": scaled, "parts": given["score_stakes"]["parts"]}) for x in missing
        ],
    }
    with open(sys.argv[2], "w") as file:
        json.dump(told, file)


main()
