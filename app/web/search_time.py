"""How long a search for wrong labels will take, told from those that have ended on this machine."""

from typing import Any

from sqlalchemy import select
from sqlmodel import col

from app.core.files import read_json
from app.core.tables import DatasetVersion, LabelCheck, Run
from app.datasets.ingest import PROFILE_FILE
from app.tasks import TASKS
from app.tasks.examples import names_of
from app.tasks.suspects import MOST_ROWS, MOST_WORDS
from app.web.services import Services

LOOK_BACK = 20
# Of much more or much less text than it has read, a search tells nothing.
FURTHEST = 10.0
WORD = 6  # characters
TEXTS = ("text", "text_pair", "tokens")


def expected_seconds(services: Services, run: dict[str, Any]) -> dict[str, float]:
    """Seconds by reader, "" where the search chooses it; only of readers that have read for such a task before, and not much more
    or less text. `run`: as the API shows it. A search on the same data tells more than a newer one on other data."""
    query = (
        select(LabelCheck, Run)
        .join(Run, col(Run.id) == col(LabelCheck.run_id))
        .where(col(LabelCheck.state) == "succeeded")
        .order_by(col(LabelCheck.finished_at).desc())
        .limit(LOOK_BACK)
    )
    mine = _characters(services, run["dataset"], run["dataset_version"], run["task"], run["spec"]["columns"])
    told: dict[str, tuple[bool, float]] = {}
    with services.database.read() as session:
        found = [(check, one) for check, one in session.execute(query)]
    for check, one in found:
        if TASKS[one.task].labels_a_row != TASKS[run["task"]].labels_a_row:
            continue
        same = one.dataset_id == run["dataset"] and one.dataset_version == run["dataset_version"]
        if check.model in told and (told[check.model][0] or not same):
            continue
        its = _characters(services, one.dataset_id, one.dataset_version, one.task, one.spec["columns"])
        ratio = mine / its if its else 0.0
        if 1 / FURTHEST <= ratio <= FURTHEST and check.started_at and check.finished_at:
            told[check.model] = same, (check.finished_at - check.started_at) * ratio
    return {reader: seconds for reader, (_, seconds) in told.items()}


def _characters(services: Services, dataset: str, version: int, task: str, columns: dict[str, Any]) -> float:
    """About how many characters a search would read; 0 if the data is gone."""
    try:
        profile = read_json(services.files.version(dataset, version) / PROFILE_FILE)["columns"]
    except (FileNotFoundError, KeyError):
        return 0.0
    with services.database.read() as session:
        row = session.get(DatasetVersion, (dataset, version))
    rows = min(row.rows if row else 0, MOST_ROWS)
    names = [name for role in TEXTS if role in columns for name in names_of(columns[role])]
    each = sum(float(profile.get(name, {}).get("mean_chars") or 0) for name in names)
    whole = rows * each
    return min(whole, float(WORD * MOST_WORDS)) if TASKS[task].labels_a_row == "entities" else whole
