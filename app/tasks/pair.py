"""Pairs of texts with one label: entailment, duplicates, whether an answer fits a question."""

from typing import Any

from app.core.spec import RunSpec
from app.tasks.base import Role
from app.tasks.classification import Classification
from app.tasks.examples import Examples


class Pair(Classification):
    name = "pair"
    title = "Text pairs"
    about = "One label for two texts: entailment, duplicate questions, an answer that fits."
    torch = "pair:Pair"
    needs = "pair"
    inputs = ((Role("text"), Role("text_pair", hint="the second text"), Role("label")),)
    options = ("class_weights", "label_smoothing", "focal_gamma", "pooling")
    baselines = (("tfidf", "TF-IDF of both + logistic regression"), ("majority", "most frequent label"))

    def goal(self, labels: list[str]) -> str:
        return f"to tell {len(labels)} labels of text pairs apart"

    def usage(self, spec: RunSpec, folder: str) -> str:
        return (
            "from transformers import pipeline\n\n"
            f'classify = pipeline("text-classification", "{folder}", truncation=True, max_length={spec.max_length})\n'
            'pair = {"text": "A first text.", "text_pair": "A second one."}\n'
            "print(classify(pair, top_k=None))\n"
        )

    def wrong_input(self, value: Any, spec: RunSpec) -> str | None:
        example = '{"text": "…", "text_pair": "…"}'
        if not isinstance(value, dict):
            return f"must be an object {example}, not {type(value).__name__}"
        if missing := [name for name in ("text", "text_pair") if not isinstance(value.get(name), str)]:
            return f"needs a text under {' and '.join(missing)}: {example}"
        if unknown := sorted(map(str, value.keys() - {"text", "text_pair"})):
            return f"has {', '.join(unknown)}, which a pair has not: {example}"
        return None


def shared_texts(train: Examples, test: Examples) -> int:
    """Held-out pairs one of whose texts is in a training pair too (with another partner: same pairs share a part)."""
    from app.datasets.split import normalised

    known = {normalised(text) for role in ("text", "text_pair") for text in train[role]}
    pairs = zip(test["text"], test["text_pair"], strict=True)
    return sum(normalised(first) in known or normalised(second) in known for first, second in pairs)
