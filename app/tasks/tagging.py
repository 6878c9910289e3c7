"""Tagging: the tokens of a sentence that name something, and what: people, places, products (named entities)."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.core.errors import Problem
from app.core.spec import RunSpec
from app.datasets import bio
from app.tasks.base import Kept, Metric, Role, Task, column_of, unseen
from app.tasks.examples import Examples, Reading
from app.tasks.sentences import Sentence, Unreadable, listed, text_with_spans, tokens_with_tags

MOST_TYPES = 500
_NO_SPANS = "empty spans (write [] for a text without entities)"


class Tagging(Task):
    """`values["sentence"]` of the examples: a Sentence a row."""

    name = "tagging"
    title = "Tagging"
    about = "Entities in a text: people, places, products."
    torch = "tagging:Tagging"
    needs = "tagging"
    labels_a_row = "entities"
    inputs = (
        (
            Role("tokens", "a list of tokens, or words with spaces between them"),
            Role("tags", "O, B-TYPE or I-TYPE for each token; of bare types, neighbours are one entity"),
        ),
        (
            Role("text"),
            Role("spans", 'a list of {"start", "end", "label"} in characters'),
        ),
    )
    judged_by = (Metric("f1", "entity F1"), Metric("precision", "precision"), Metric("recall", "recall"))
    primary = "f1"
    curves = (Metric("f1", "entity F1"), Metric("precision", "precision"), Metric("recall", "recall"))
    options = ("class_weights", "label_smoothing", "focal_gamma")
    baselines = (("majority", "each word's most frequent tag"),)
    pipeline = "token-classification"
    takes_tokens = True

    def read(self, cells: Callable[[str], list[str]], spec: RunSpec, where: Callable[[int], str]) -> Reading:
        """A Sentence for each row; rows with an empty cell are left out. Raises Invalid with every fault's line.

        Each row's stratum is its rarest type, so that every part gets rows of each.
        """
        roles = [role.name for role in self.roles(spec.columns)]
        columns = [cells(column_of(spec, role)) for role in roles]
        left_out: list[str | None] = [_empty(roles, row) for row in zip(*columns, strict=True)]
        make = text_with_spans if "spans" in roles else tokens_with_tags
        found: list[Any] = [None] * len(left_out)
        kept = Kept(where)
        for row, (first, second) in enumerate(zip(*columns, strict=True)):
            if left_out[row] is None:
                try:
                    found[row] = make(first, second)
                except Unreadable as fault:
                    kept.add(row, str(fault))
                else:
                    if not found[row].tokens:
                        left_out[row] = f"empty {roles[0]}"
        kept.raise_any()
        if "tags" in roles:
            _to_bio(found, where)
        counts = Counter(kind for sentence in found if sentence is not None for kind in sentence.types)
        strata = [
            min(sentence.types, key=lambda kind: (counts[kind], kind), default="") if sentence else ""
            for sentence in found
        ]
        return Reading({"sentence": found}, left_out, strata)

    def same(self, spec: RunSpec) -> list[str]:
        return [column_of(spec, self.roles(spec.columns)[0].name)]

    def steps_known(self, spec: RunSpec) -> bool:
        return False

    def check(self, examples: Examples, spec: RunSpec) -> list[Problem]:
        role = self.roles(spec.columns)[1].name
        sentences: list[Sentence] = examples["sentence"]
        types = {kind for sentence in sentences for kind in sentence.types}
        if not types:
            message = (
                f"column {column_of(spec, role)!r} names no entity in any row, so there is nothing to learn"
            )
            return [{"where": f"columns.{role}", "message": message}]
        if len(types) > MOST_TYPES:
            message = (
                f"column {column_of(spec, role)!r} has {len(types):,} different types of entities, so it looks like "
                f"something else; choose the column of the {role} (at most {MOST_TYPES:,} types)"
            )
            return [{"where": f"columns.{role}", "message": message}]
        missing: list[Problem] = [
            {
                "where": "split",
                "message": f"no {part} row has an entity, so {purpose}; add rows or choose another split",
            }
            for part, purpose in (
                ("train", "there is nothing to learn"),
                ("validation", "no epoch would be better than another"),
                ("test", "the result could not be judged"),
            )
            if not any(
                sentence.types and its == part
                for sentence, its in zip(sentences, examples.parts, strict=True)
            )
        ]
        return missing or unseen(examples, lambda row: sentences[row].types)

    def labels(self, examples: Examples) -> list[str]:
        """O, and B- and I- of each type."""
        types = {kind for sentence in examples["sentence"] for kind in sentence.types}
        return sorted([bio.OUTSIDE, *(f"{prefix}-{kind}" for kind in types for prefix in "BI")])

    def goal(self, labels: list[str]) -> str:
        return f"to find {_types(len(types_of(labels)))} of entities"

    def describe(self, labels: list[str]) -> str:
        return f"{self.name}, {_types(len(types_of(labels)))}"

    def usage(self, spec: RunSpec, folder: str) -> str:
        return (
            "from transformers import pipeline\n\n"
            f'tag = pipeline("token-classification", "{folder}", aggregation_strategy="first")\n'
            'print(tag("Words and signs with spaces between them ."))\n'
        )

    # -- answers --------------------------------------------------------------------------------------------

    def input_roles(self, spec: RunSpec) -> tuple[Role, ...]:
        return self.roles(spec.columns)[:1]

    def make_input(self, cells: Mapping[str, str]) -> str | list[str]:
        """A cell that is a list of strings, as `read` takes them, becomes a list of tokens, any other a text."""
        (cell,) = cells.values()
        found = listed(cell) if cell.lstrip().startswith("[") else None
        return cell if found is None or not all(isinstance(one, str) for one in found) else found

    def wrong_input(self, value: Any, spec: RunSpec) -> str | None:
        if isinstance(value, str):
            return None
        if not isinstance(value, list) or not all(isinstance(token, str) for token in value):
            return f"must be a text or a list of tokens, not {type(value).__name__}"
        if "" in value:
            return f"has an empty token in place {value.index('') + 1}; remove it"
        return None

    def output_cells(self, output: dict[str, Any]) -> dict[str, Any]:
        """entities: "Berlin=LOC; Angela Merkel=PER"; tags: "O B-LOC …"."""
        return {"entities": shown(output["tokens"], output["tags"]), "tags": " ".join(output["tags"])}

    def token_cells(self, output: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"tag": tag} for tag in output["tags"]]

    # -- figures --------------------------------------------------------------------------------------------

    def metrics(self, truth: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> dict[str, float]:
        """precision, recall, f1 of whole entities, all types together (micro): seqeval's, strict, on BIO tags.

        An entity counts when both its ends and its type are right. What has nothing to divide by is 0.
        """
        precision, recall, f1, _ = _seqeval(truth, predicted, _types_in(truth, predicted), "micro")
        return {"precision": float(precision), "recall": float(recall), "f1": float(f1)}

    def results(self, truth: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> dict[str, Any]:
        """labels: the types; rows; per_class by type (seqeval, strict); notes."""
        types = _types_in(truth, predicted)
        columns = _seqeval(truth, predicted, types, None)
        figures = zip(*(column.tolist() for column in columns), strict=True)
        true = sum(len(bio.entities(tags)) for tags in truth)
        found = sum(len(bio.entities(tags)) for tags in predicted)
        right = sum(
            len(set(bio.entities(a)) & set(bio.entities(b))) for a, b in zip(truth, predicted, strict=True)
        )
        pairs = [pair for both in zip(truth, predicted, strict=True) for pair in zip(*both, strict=True)]
        same = sum(a == b for a, b in pairs) / len(pairs)
        note = (
            f"Of {true:,} entities in {len(truth):,} sentences the model finds {right:,} with both ends and type right, "
            f"and marks {found - right:,} more that are not. {same:.1%} of {len(pairs):,} tokens have the right tag, most "
            "of them O."
        )
        return {
            "labels": types,
            "rows": len(truth),
            "per_class": [
                {"label": kind, "precision": precision, "recall": recall, "f1": f1, "support": support}
                for kind, (precision, recall, f1, support) in zip(types, figures, strict=True)
            ],
            "notes": [note],
        }


def shown(tokens: Sequence[str], tags: Sequence[str]) -> str:
    """The entities for a table: "Berlin=LOC; Angela Merkel=PER". Letters that are tokens (Chinese) stand together."""
    found = []
    for first, behind, kind in bio.entities(tags):
        name = tokens[first:behind]
        space = "" if all(len(token) == 1 and ord(token) > 0x0E00 for token in name) else " "
        found.append(f"{space.join(name)}={kind}")
    return "; ".join(found)


def types_of(labels: Sequence[str]) -> list[str]:
    """The types of entities that a list of labels has."""
    return sorted({label[2:] for label in labels if label != bio.OUTSIDE})


def _types_in(*tagged: Sequence[Sequence[str]]) -> list[str]:
    return types_of(list({tag for sentences in tagged for tags in sentences for tag in tags}))


def _seqeval(
    truth: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], types: list[str], average: str | None
) -> Any:
    """(precision, recall, f1, support) of seqeval in strict mode; without an `average`, arrays in the order of `types`."""
    from seqeval.metrics.v1 import precision_recall_fscore_support
    from seqeval.scheme import IOB2

    # By number, for seqeval takes dashes at the ends of a type away.
    named = {
        f"{prefix}-{kind}": f"{prefix}-{number:06d}" for number, kind in enumerate(types) for prefix in "BI"
    }
    named[bio.OUTSIDE] = bio.OUTSIDE
    return precision_recall_fscore_support(
        [[named[tag] for tag in tags] for tags in truth],
        [[named[tag] for tag in tags] for tags in predicted],
        average=average,
        scheme=IOB2,
        zero_division=0,
    )


def _types(count: int) -> str:
    return f"{count} type" if count == 1 else f"{count} types"


def _empty(roles: list[str], row: tuple[str, ...]) -> str | None:
    for role, cell in zip(roles, row, strict=True):
        if not cell.strip():
            return _NO_SPANS if role == "spans" else f"empty {role}"
    return None


def _to_bio(sentences: list[Sentence | None], where: Callable[[int], str]) -> None:
    """Brings the tags of all sentences to BIO, in place. Raises Invalid with every fault's line.

    Tags without any B- and I- in the whole column are types: then neighbours of one type are one entity.
    """
    written = {tag for sentence in sentences if sentence for tag in sentence.tags}
    bare = bio.OUTSIDE in written and not any(map(bio.is_prefixed, written)) and all(written)
    known = {tag: tag for tag in written}
    kept = Kept(where)
    for row, sentence in enumerate(sentences):
        if sentence is None:
            continue
        try:
            tags = (bio.of_types if bare else bio.to_bio)(sentence.tags)
        except bio.Faulty as fault:
            kept.add(row, f"token {fault.place + 1} ({sentence.tokens[fault.place][:30]!r}) {fault}")
        else:
            sentence.tags[:] = [known.setdefault(tag, tag) for tag in tags]
    kept.raise_any()
