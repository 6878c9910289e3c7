"""Tags of tokens: rows in which they can't be read, types of entities that are rare or spelt in two ways."""

from collections import defaultdict

from app.datasets import bio
from app.datasets.doctor.base import Block, Check, Found, Rows, drop, share_text
from app.datasets.doctor.labels import FEW, plain
from app.datasets.lists import strings_in

_SHOWN = 5


class Tags(Check):
    doing = "counting tags and entities"

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self._faulty: dict[int, str] = {}
        self._entities: defaultdict[str, int] = defaultdict(int)
        self._rows: defaultdict[str, list[int]] = defaultdict(list)  # the first FEW of each type

    def add(self, block: Block) -> None:
        if self.asked.tags is None:
            return
        both = zip(block.cells(self.asked.text[0]), block.cells(self.asked.tags), strict=True)
        for place, (tokens, tags) in enumerate(both, block.first):
            if not tokens.strip() or not tags.strip():
                continue  # another finding
            words, marks = (_strings(cell) for cell in (tokens, tags))
            if len(words) != len(marks):
                self._faulty[place] = f"{len(words):,} tokens, {len(marks):,} tags"
                continue
            prefixed = any(map(bio.is_prefixed, marks))
            try:
                found = bio.entities(bio.to_bio(marks) if prefixed else bio.of_types(marks))
            except bio.Faulty as fault:
                self._faulty[place] = f"token {fault.place + 1} ({words[fault.place][:30]!r}) {fault}"
                continue
            for _, _, kind in found:
                self._count(place, kind)

    def finish(self, rows: Rows) -> list[Found]:
        if self.asked.tags is None:
            return []
        return [*self._of_faults(rows), *self._of_rare_types(rows), *self._of_spellings()]

    def _count(self, place: int, kind: str) -> None:
        self._entities[kind] += 1
        here = self._rows[kind]
        if len(here) < FEW and place not in here:
            here.append(place)

    def _of_faults(self, rows: Rows) -> list[Found]:
        count = len(self._faulty)
        if not count:
            return []
        return [
            Found(
                id="faulty-tags",
                severity="error",
                title="Tags that no run can read",
                message=f"{share_text(count, rows.count)} have more or fewer tags in {self.asked.tags} than tokens in {self.asked.text[0]}, or tags "
                "that can't stand where they do: no run starts with them.",
                count=count,
                columns=list(self.asked.columns),
                positions=list(self._faulty),
                notes=list(self._faulty.values()),
                fixes=[drop(count)],
            )
        ]

    def _of_rare_types(self, rows: Rows) -> list[Found]:
        few = sorted((count, kind) for kind, count in self._entities.items() if count < FEW)
        # Where every type is rare there are few rows; that is said once, by the run.
        if not few or len(few) == len(self._entities):
            return []
        noted = [(place, kind) for _, kind in few for place in self._rows[kind]]
        shown = ", ".join(f"{kind!r} ({count})" for count, kind in few[:_SHOWN])
        more = f" and {len(few) - _SHOWN:,} more" if len(few) > _SHOWN else ""
        are = "1 type has" if len(few) == 1 else f"{len(few):,} types have"
        return [
            Found(
                id="rare-entities",
                severity="warning",
                title="Types with few entities",
                message=f"{are} fewer than {FEW} entities: {shown}{more}. A model learns little of them, and a test of one or two says nothing: mark "
                "more, or give them the type of something alike.",
                count=len({place for place, _ in noted}),
                columns=list(self.asked.columns),
                positions=[place for place, _ in noted],
                notes=[kind for _, kind in noted],
            )
        ]

    def _of_spellings(self) -> list[Found]:
        alike: defaultdict[str, list[str]] = defaultdict(list)
        for kind in self._entities:
            alike[plain(kind)].append(kind)
        several = [
            sorted(kinds, key=self._entities.__getitem__) for kinds in alike.values() if len(kinds) > 1
        ]
        if not several:
            return []
        noted = [(place, kind) for kinds in several for kind in kinds[:-1] for place in self._rows[kind]]
        pairs = [
            f"{kind!r} ({self._entities[kind]:,}) and {kinds[-1]!r}"
            for kinds in several
            for kind in kinds[:-1]
        ]
        return [
            Found(
                id="type-spellings",
                severity="warning",
                title="One type of entity, several spellings",
                message=f"These types differ only in capital letters or white space, and are learned apart: {', '.join(pairs[:_SHOWN])}. Write them in one "
                "way; the first rows of each are shown.",
                count=sum(self._entities[kind] for kinds in several for kind in kinds[:-1]),
                columns=list(self.asked.columns),
                positions=[place for place, _ in noted],
                notes=[kind for _, kind in noted],
            )
        ]


def _strings(cell: str) -> list[str]:
    found = strings_in(cell)
    return [one.strip() for one in found] if found is not None else cell.split()
