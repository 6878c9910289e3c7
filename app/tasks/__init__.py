"""The tasks there are. A new one is a file in this folder and a line here."""

from app.core.errors import Invalid
from app.tasks.base import Task
from app.tasks.classification import Classification
from app.tasks.text2text import Text2Text

TASKS: dict[str, Task] = {one.name: one for one in (Classification(), Text2Text())}


def task(name: str) -> Task:
    """The task of a spec. Raises Invalid."""
    try:
        return TASKS[name]
    except KeyError:
        message = f"there is no task {name!r}; choose one of {', '.join(TASKS)}"
        raise Invalid.from_problems("The run can't start", [{"where": "task", "message": message}]) from None
