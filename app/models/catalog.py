"""The models on offer, and the one way from what a user typed to a model."""

import re

from app.core.errors import Invalid
from app.core.settings import Settings
from app.models import hub
from app.models.finished import FindRun, model_of
from app.models.hub import NoNetwork
from app.models.info import ModelInfo
from app.models.inspect import Unusable
from app.models.local import listed, local, local_names
from app.models.published import OPEN_ON_THE_HUB, is_unpublished
from app.models.starter import STARTER, TITLE, starter

__all__ = ["ModelCatalog", "ModelInfo"]


class ModelCatalog:
    """What there is by `settings` (HEADSTART_MODELS, HEADSTART_OFFLINE). Holds no state of its own.

    `find_run`: looks an earlier run up, for run:ID; without it there are none.
    """

    def __init__(self, settings: Settings, find_run: FindRun = lambda _: None) -> None:
        self._models = settings.models_dir
        self._offline = settings.offline
        self._find_run = find_run

    @property
    def offline(self) -> bool:
        """Whether hub ids are refused by HEADSTART_OFFLINE."""
        return self._offline

    def offered(self) -> list[ModelInfo]:
        """The starter and every folder under HEADSTART_MODELS; an unusable one has no tasks and a reason in `note`."""
        return [self._starter(), *listed(self._models)]

    def find(self, model: str, ask_hub: bool = True) -> ModelInfo:
        """The model of a spec. Reads headers only; a hub id costs a look-up of six seconds at most.

        `ask_hub` False is for the trainer, whose `fetch` goes to the hub itself: a hub id is only checked for its form.
        Raises Invalid (kind "model") with one sentence that says what to choose instead.
        """
        kind, _, name = model.partition(":")
        try:
            if model == STARTER:
                return starter()
            if kind == "local" and name:
                return self._local(model, name)
            if kind == "run" and name:
                return self._run(name)
            if is_unpublished(model):
                raise Invalid(self._unpublished(model), kind="model")
            if kind == "hub" and name:
                return self._hub(name, ask_hub)
        except Unusable as reason:
            raise Invalid(f"The model {_shown(model)} {reason}.", kind="model") from reason
        raise Invalid(self._unknown(model), kind="model")

    def suggestions(self) -> list[str]:
        """Ids of models that work here without a network, the starter first."""
        return [info.id for info in self.offered() if info.tasks]

    def _starter(self) -> ModelInfo:
        try:
            return starter()
        except Unusable as reason:
            return ModelInfo(STARTER, TITLE, "bert", "starter", [], note=f"can't be used: it {reason}")

    def _local(self, model: str, name: str) -> ModelInfo:
        try:
            return local(self._models, name)
        except Unusable as reason:
            if name not in local_names(self._models):
                if is_unpublished(name):
                    raise Invalid(self._unpublished(model), kind="model") from reason
                raise Unusable(f"{reason}. Choose {self._choices()}") from reason
            raise

    def _run(self, name: str) -> ModelInfo:
        found = self._find_run(name)
        if found is None:
            raise Unusable("does not exist: there is no such run, or it was deleted")
        return model_of(found)

    def _hub(self, name: str, ask: bool) -> ModelInfo:
        hub.check_id(name)
        if not ask:
            return ModelInfo(f"hub:{name}", title=name, family="", kind="hub", tasks=[])
        try:
            if self._offline:
                raise NoNetwork("HEADSTART_OFFLINE is set")
            return hub.look_up(name)
        except NoNetwork as reason:
            raise Invalid(
                f"There is no network, so hub:{name} can't be looked up ({reason}): choose {self._choices()}.",
                kind="network",
            ) from reason

    def _choices(self) -> str:
        """'the starter or a local model (local:a, local:b)'."""
        names = [name for name in self.suggestions() if name != STARTER]
        if names:
            return f"the starter or a local model ({', '.join(names[:8])})"
        where = (
            "HEADSTART_MODELS names no folder" if self._models is None else f"there is none in {self._models}"
        )
        return f"the starter or a local model ({where})"

    def _unpublished(self, model: str) -> str:
        offers = [info for info in self.offered() if info.tasks]
        # Who names a chat model wants a decoder: those first.
        names = [
            info.id for info in sorted(offers, key=lambda info: info.family in ("bert", "mpnet", "roberta"))
        ]
        if not self._offline:
            names += [f"{name} (where there is a network)" for name in OPEN_ON_THE_HUB]
        typed = re.sub(r"^hub:", "", model.strip())
        return (
            f"The weights of {_shown(typed)} are not published, so it can't be fine-tuned here; "
            f"open models on offer: {', '.join(names)}."
        )

    def _unknown(self, model: str) -> str:
        forms = f"write starter, local:NAME, hub:ID or run:ID ({', '.join(self.suggestions())} are here)"
        if model in local_names(self._models):
            return f"There is no model {_shown(model)}; the folder under HEADSTART_MODELS is local:{model}."
        try:
            hub.check_id(model)
        except Unusable:
            return f"There is no model {_shown(model)}: {forms}."
        return (
            f"There is no model {_shown(model)}; a model of the model hub is written hub:{model}. Or {forms}."
        )


def _shown(model: str) -> str:
    """What a user typed, fit for a sentence: no control characters, not endless."""
    text = "".join(char if char.isprintable() else "?" for char in model)
    return text if len(text) <= 80 else f"{text[:79]}…"
