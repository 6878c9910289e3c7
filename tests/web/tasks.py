"""A ninth task, for tests that the pages are made by what a task says of itself."""

from typing import Any

from app.core.errors import Problem
from app.core.spec import RunSpec
from app.tasks.base import Metric, Role, Task
from app.tasks.examples import Examples


class Ranking(Task):
    name = "ranking"
    title = "Ranking of answers"
    about = "Which answer suits a question best."
    torch = "ranking:Ranking"
    needs = "pair"
    inputs = ((Role("question", "what is asked"), Role("reply")), (Role("thread"),))
    judged_by = (Metric("mrr", "reciprocal rank"),)
    primary = "mrr"
    curves = (Metric("mrr", "reciprocal rank"),)
    options = ("label_smoothing", "source_prefix")
    pipeline = "text-ranking"

    def check(self, examples: Examples, spec: RunSpec) -> list[Problem]:
        return []

    def usage(self, spec: RunSpec, folder: str) -> str:
        return f'rank("{folder}")\n'

    def output_cells(self, output: dict[str, Any]) -> dict[str, Any]:
        return {"rank": output["rank"]}
