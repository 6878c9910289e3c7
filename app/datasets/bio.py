"""Entities as tags of tokens: B-TYPE begins one, I-TYPE goes on, O is outside (BIO, also IOB2).

Ramshaw & Marcus 1995, with the convention of Tjong Kim Sang & Veenstra 1999 that every entity begins with B-.
"""

import re
from collections.abc import Iterable, Sequence

Entity = tuple[int, int, str]  # first token, behind the last, type

OUTSIDE = "O"
# Other schemes say more: E-, L- the last token; S-, U-, W- the only one; M- one in the middle (BIOES, BILOU, BMEWO).
_TAG = re.compile(r"([BIMELSUW])-(.*\S.*)", re.DOTALL)
_BEGINS, _ENDS = "BSUW", "ELSUW"


class Faulty(Exception):
    """A tag that can't stand where it stands, with the reason in words that go on after its token."""

    def __init__(self, place: int, reason: str) -> None:
        super().__init__(reason)
        self.place = place


def is_prefixed(tag: str) -> bool:
    """Whether a tag says the part of the entity that its token is: B-LOC, I-LOC, S-LOC …"""
    return _TAG.fullmatch(tag) is not None


def to_bio(tags: Sequence[str]) -> list[str]:
    """BIO, BIOES, BILOU or BMEWO as BIO. Raises Faulty for the first tag that is none or that nothing begins."""
    found: list[str] = []
    running: str | None = None  # the type that may go on
    for place, tag in enumerate(tags):
        if tag == OUTSIDE:
            running = None
            found.append(tag)
            continue
        match = _TAG.fullmatch(tag)
        if match is None:
            raise Faulty(place, f"has the tag {tag!r}, which is neither O nor B-TYPE nor I-TYPE")
        prefix, kind = match.groups()
        begins = prefix in _BEGINS
        if not begins and running != kind:
            why = f"no B-{kind} stands before it; write B-{kind} for the first token of each entity"
            raise Faulty(place, f"has the tag {tag!r}, but {why}")
        found.append(f"{'B' if begins else 'I'}-{kind}")
        running = None if prefix in _ENDS else kind
    return found


def of_types(types: Sequence[str]) -> list[str]:
    """Bare types (IO: "PER PER O LOC") as BIO: neighbours of one type are one entity."""
    before = [OUTSIDE, *types]
    return [
        OUTSIDE if kind == OUTSIDE else f"{'I' if kind == last else 'B'}-{kind}"
        for last, kind in zip(before, types, strict=False)
    ]


def repaired(tags: Iterable[str | None]) -> list[str]:
    """Valid BIO out of any sequence of O, B- and I-: an I- that nothing of its type stands before becomes B-.

    So a pipeline of transformers groups them (and conlleval, and seqeval when it isn't strict). None: of a token that
    the model doesn't see; it belongs to the entity that goes on behind it, if there is one.
    """
    found: list[str] = []
    last, unseen = OUTSIDE, 0
    for tag in tags:
        if tag is None:
            unseen += 1
            continue
        inside = tag.startswith("I-")
        goes_on = inside and last[2:] == tag[2:]
        last = f"B-{tag[2:]}" if inside and not goes_on else tag
        found += [*[last if goes_on else OUTSIDE] * unseen, last]
        unseen = 0
    return found + [OUTSIDE] * unseen


def entities(tags: Sequence[str]) -> list[Entity]:
    """The entities of valid BIO tags, from left to right."""
    found: list[Entity] = []
    for place, tag in enumerate(tags):
        if tag.startswith("B-"):
            found.append((place, place + 1, tag[2:]))
        elif tag.startswith("I-"):
            start, _, kind = found[-1]
            found[-1] = (start, place + 1, kind)
    return found


def tags_of(found: Iterable[Entity], tokens: int) -> list[str]:
    """The BIO tags of `tokens` tokens with these entities, none of which overlap."""
    tags = [OUTSIDE] * tokens
    for start, end, kind in found:
        tags[start:end] = [f"B-{kind}"] + [f"I-{kind}"] * (end - start - 1)
    return tags
