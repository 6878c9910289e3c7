"""How many of n groups each part gets, and which: the arithmetic of splitting, without files or tables."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence


def quotas(count: int, fractions: Sequence[float]) -> list[int]:
    """Shares of `count` by largest remainder (Hare-Niemeyer), in the order of `fractions`; ties go to the earlier.

    From as many groups as parts on, each part gets at least one; with fewer, the first part gets all but one
    and the last part one (two groups: train and test), a single group goes to the first.
    """
    parts = len(fractions)
    if count < parts:
        return [count] + [0] * (parts - 1) if count < 2 else [count - 1, *[0] * (parts - 2), 1]
    # Rounded, so that 0.1 * 30 = 3.0000000000000004 has no remainder.
    exact = [round(count * fraction, 9) for fraction in fractions]
    result = [int(share) for share in exact]
    by_remainder = sorted(range(parts), key=lambda part: (result[part] - exact[part], part))
    for part in by_remainder[: count - sum(result)]:
        result[part] += 1
    for part in range(parts):
        if result[part] == 0:
            result[max(range(parts), key=lambda other: result[other])] -= 1
            result[part] = 1
    return result


def strata(keys: Sequence[str], labels: Sequence[str]) -> dict[str, str]:
    """The stratum of each group: its most frequent label, of equally frequent ones the first by code point."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for key, label in zip(keys, labels, strict=True):
        counts[key][label] += 1
    return {key: min(found, key=lambda label: (-found[label], label)) for key, found in counts.items()}


def assign(
    stratum_of: Mapping[str, str],
    known: Mapping[str, str],
    seed: int | str,
    fractions: Mapping[str, float],
    closed: str | None = None,
) -> dict[str, str]:
    """The part of every group in `stratum_of`. A group that is `known` keeps its part.

    In each stratum the new groups come in the order of SHA-256(seed|key). When none is known, the first ones
    are train, the next validation, the last test; else each goes where the quota is most short. The part `closed` takes no
    new group, and the others share them in the proportion of their fractions.
    """
    shares = {part: share for part, share in fractions.items() if part != closed}
    groups: dict[str, list[str]] = defaultdict(list)
    for key, stratum in stratum_of.items():
        groups[stratum].append(key)
    result: dict[str, str] = {}
    for stratum in sorted(groups):
        keys = groups[stratum]
        new = sorted((key for key in keys if key not in known), key=lambda key: _rank(seed, key))
        have = Counter(known[key] for key in keys if key in known)
        result.update((key, known[key]) for key in keys if key in known)
        open_keys = len(keys) - (have.pop(closed, 0) if closed else 0)
        whole = sum(shares.values())
        wanted = dict(
            zip(shares, quotas(open_keys, [share / whole for share in shares.values()]), strict=True)
        )
        result.update(zip(new, _fill(new, wanted, have), strict=True))
    return result


def _fill(new: Sequence[str], wanted: Mapping[str, int], have: Mapping[str, int]) -> Iterable[str]:
    short = {part: count - have.get(part, 0) for part, count in wanted.items()}
    if not any(have.values()):
        return [part for part, count in short.items() for _ in range(count)]
    filled = []
    for _ in new:
        part = max(short, key=lambda name: short[name])
        short[part] -= 1
        filled.append(part)
    return filled


def _rank(seed: int | str, key: str) -> bytes:
    return hashlib.sha256(f"{seed}|{key}".encode()).digest()
