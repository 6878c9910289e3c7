"""The models on offer for a task: which can do it, and why the others can't."""

from dataclasses import dataclass
from typing import Any

from app.core.clock import rfc3339
from app.models.families import architecture_of, tasks_for
from app.models.finished import family_of, finished_runs
from app.models.info import ModelInfo
from app.tasks.base import Task
from app.web.api_models import model_view
from app.web.services import Services

# One of each on the model hub that is small and open.
EXAMPLES = {
    "encoder": "hub:distilbert-base-uncased",
    "decoder": "hub:HuggingFaceTB/SmolLM2-135M",
    "seq2seq": "hub:google-t5/t5-small",
}
WORDS = {"encoder": "an encoder", "decoder": "a decoder", "seq2seq": "an encoder-decoder"}
_TAGS = {"starter": "starter · offline", "local": "local"}


@dataclass(frozen=True)
class Offers:
    """`cards`: the models that have a card, `runs`: the finished runs; each with `off`, why it can't be chosen ("" if it
    can). `default`: the first that can; None if none can."""

    cards: list[dict[str, Any]]
    runs: list[dict[str, Any]]
    default: str | None

    @property
    def card_ids(self) -> set[str]:
        return {card["id"] for card in self.cards}

    @property
    def run_ids(self) -> set[str]:
        return {run["id"] for run in self.runs}

    def can(self, model: str) -> bool:
        """Whether a model can be chosen, as far as it is known here."""
        return all(not one["off"] for one in (*self.cards, *self.runs) if one["id"] == model)


def offers_for(services: Services, task: Task) -> Offers:
    """What can be the base of a run of `task`."""
    models = services.models.offered()
    cards = [
        {
            **model_view(model),
            "note": " · ".join(filter(None, [model.note, model.cautions.get(task.ability, "")])),
            "size": model.size(),
            "tag": _TAGS.get(model.kind, model.kind),
            "off": _why_not(task, model),
        }
        for model in models
    ]
    cards.sort(key=lambda card: bool(card["off"]))
    runs = []
    for found in finished_runs(services.database, services.files):
        family = family_of(found)
        info = ModelInfo(f"run:{found.id}", found.name, family, "run", tasks_for(family))
        line = {"id": info.id, "name": found.name, "task": found.task, "ended": rfc3339(found.finished_at)}
        runs.append({**line, "off": _why_not(task, info)})
    return Offers(cards, runs, next((card["id"] for card in cards if not card["off"]), None))


def wanted(task: Task) -> str:
    """'an encoder or a decoder'"""
    return " or ".join(WORDS[kind] for kind in task.architectures)


def examples(task: Task) -> list[str]:
    """Ids of small models on the hub that can do a task."""
    return [EXAMPLES[kind] for kind in task.architectures]


def _why_not(task: Task, model: ModelInfo) -> str:
    if task.fits(model):
        return ""
    kind = architecture_of(model.family)
    if not model.tasks or kind is None:
        return model.note or "can't be used"
    if kind not in task.architectures:
        return f"{WORDS[kind]}; {task.title.lower()} wants {wanted(task)}"
    return f"{model.family} can't do {task.title.lower()}"
