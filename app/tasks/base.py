"""What a task is: the torch-free half. Each task has a file here and a line in the registry."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from app.core.errors import Problem
from app.core.spec import RunSpec
from app.tasks.examples import Examples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Task(Protocol):
    """A kind of learning: which columns it needs, what makes its data unfit, how it is judged.

    `roles`: the columns a spec must name. `primary`: the metric that chooses the best epoch; higher is better.
    """

    name: str
    title: str
    roles: tuple[str, ...]
    primary: str

    def check(self, examples: Examples, spec: RunSpec) -> list[Problem]:
        """What makes `examples` (of all parts, empty rows left out) unfit; all of it at once."""
        ...

    def labels(self, examples: Examples) -> list[str]:
        """The classes, ordered by code point: position = class index of the model."""
        ...

    def metrics(
        self,
        truth: "Sequence[int] | NDArray[np.integer[Any]]",
        probabilities: "NDArray[np.floating[Any]]",
        labels: list[str],
    ) -> dict[str, float]:
        """Flat numbers. truth: n class indices; probabilities: (n, classes), rows add up to 1."""
        ...

    def results(
        self,
        truth: "Sequence[int] | NDArray[np.integer[Any]]",
        probabilities: "NDArray[np.floating[Any]]",
        labels: list[str],
        texts: Sequence[str],
        row_ids: Sequence[int],
    ) -> dict[str, Any]:
        """What the results page shows, as JSON."""
        ...
