"""Whether a difference between two shares or two means is more than chance; without a library, for pages ask it."""

from math import erfc, exp, lgamma, log, sqrt

Z95 = 1.959963984540054


def wilson(hits: int, rows: int, z: float = Z95) -> tuple[float, float]:
    """The interval in which a share lies with 95 % confidence (Wilson 1927); (0, 1) without rows."""
    if not rows:
        return 0.0, 1.0
    share, square = hits / rows, z * z / rows
    middle = (share + square / 2) / (1 + square)
    half = z * sqrt(share * (1 - share) / rows + square / (4 * rows)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


def more_than_elsewhere(hits: int, rows: int, all_hits: int, all_rows: int) -> float:
    """The chance that `rows` rows, drawn at random from `all_rows` with `all_hits` hits, hold `hits` or more (Fisher's exact
    test, one-sided)."""
    most = min(rows, all_hits)
    total = _log_choose(all_rows, rows)
    terms = (
        _log_choose(all_hits, at) + _log_choose(all_rows - all_hits, rows - at) - total
        for at in range(hits, most + 1)
        if rows - at <= all_rows - all_hits
    )
    return min(1.0, sum(map(exp, terms)))


def larger_mean(values: list[float], others: list[float]) -> float:
    """The chance of a mean of `values` so far above that of `others` if both were the same (Welch's test, one-sided, by the
    normal distribution, so for 20 values and more); 1 where either says too little."""
    if min(len(values), len(others)) < 2:
        return 1.0
    (mean, spread), (other, around) = _mean(values), _mean(others)
    error = sqrt(spread / len(values) + around / len(others))
    return 1.0 if error == 0 else 0.5 * erfc((mean - other) / error / sqrt(2))


def sign_test(first: int, second: int) -> float:
    """The chance that of first + second fair throws one side comes up at least as unevenly (two-sided sign test, exact): McNemar's
    test, where both are the rows that changed from right to wrong and from wrong to right."""
    count, few = first + second, min(first, second)
    tail = sum(exp(_log_choose(count, at) - count * log(2)) for at in range(few + 1))
    return min(1.0, 2 * tail)


def _mean(values: list[float]) -> tuple[float, float]:
    """Mean and variance."""
    mean = sum(values) / len(values)
    return mean, sum((value - mean) ** 2 for value in values) / (len(values) - 1)


def _log_choose(count: int, taken: int) -> float:
    return lgamma(count + 1) - lgamma(taken + 1) - lgamma(count - taken + 1)
