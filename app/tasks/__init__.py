"""The tasks there are. A new one is a file in this folder and a line here."""

from app.core.errors import Invalid
from app.tasks.adaptation import Adaptation
from app.tasks.base import Task
from app.tasks.classification import Classification
from app.tasks.generation import Generation
from app.tasks.multilabel import Multilabel
from app.tasks.pair import Pair
from app.tasks.score import Score
from app.tasks.tagging import Tagging
from app.tasks.text2text import Text2Text

TASKS: dict[str, Task] = {
    one.name: one
    for one in (
        Classification(),
        Multilabel(),
        Pair(),
        Score(),
        Tagging(),
        Text2Text(),
        Generation(),
        Adaptation(),
    )
}


def task(name: str) -> Task:
    """The task of a spec. Raises Invalid."""
    try:
        return TASKS[name]
    except KeyError:
        message = f"there is no task {name!r}; choose one of {', '.join(TASKS)}"
        raise Invalid.from_problems("The run can't start", [{"where": "task", "message": message}]) from None
