"""`headstart doctor`: whether the data folder is whole. Only looks; `remove_orphans` alone changes anything.

    surroundings ▸ database ▸ rows of data sets ▸ models ▸ checkpoints and plans ▸ what lies beside them ▸ orphans

It may run beside a running Headstart, and without one.
"""

import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing

from sqlalchemy import select
from sqlmodel import col

from app.care import beside, surroundings
from app.care.backup import left_behind
from app.care.beside import RESTORE
from app.care.findings import Report
from app.core import manifest
from app.core.clock import Clock
from app.core.db import Database
from app.core.files import ID_PATTERN, Files, folder_bytes, read_json
from app.core.migrate import revision
from app.core.migrations import HEAD
from app.core.removal import SUFFIX
from app.core.settings import Settings
from app.core.tables import FINAL_STATES, Dataset, DatasetVersion, Run
from app.datasets.rows import content_sha256
from app.datasets.upload import is_alive
from app.models.finished import folder_sha256

# Somebody may just be making a folder whose record comes last.
YOUNG_SECONDS = 3600.0
CHECKPOINT_VERSION = 1  # of worker/checkpoints.py; a test compares them


def examine(settings: Settings, say: Callable[[str], None], clock: Clock = time.time) -> Report:
    """Looks at everything; `say` hears what it is at, since reading all weights may take minutes."""
    report = Report()
    if not settings.home.is_dir():
        report.error(
            f"There is no data folder {settings.home}. Name it with --home or HEADSTART_HOME, or start Headstart."
        )
        return report
    surroundings.examine(settings, report)
    database = Database(settings.database)
    try:
        if _database(database, report):
            files = Files(settings.files_root)
            _datasets(database, files, report, say)
            _models(database, files, report, say)
            _unfinished(database, files, report, say)
            beside.examine(database, files, report)
            _orphans(database, files, report, clock)
    finally:
        database.close()
    return report


def remove_orphans(report: Report) -> int:
    """Removes what the report names; returns the bytes freed."""
    for folder in report.orphans:
        shutil.rmtree(folder, ignore_errors=True)
    return sum(size for folder, size in report.orphans.items() if not folder.exists())


def _database(database: Database, report: Report) -> bool:
    """Whether its tables can be read."""
    path = database.path
    if not path.is_file():
        report.error(f"There is no database {path}. {RESTORE}, or start Headstart to make an empty one.")
        return False
    try:
        with closing(sqlite3.connect(path, timeout=10)) as connection:
            faults = [row[0] for row in connection.execute("PRAGMA integrity_check(5)")]
            broken = connection.execute("PRAGMA foreign_key_check").fetchall()
        schema = revision(path)
    except sqlite3.Error as error:
        report.error(f"The database {path} can't be read ({error}). {RESTORE}.")
        return False
    if faults != ["ok"]:
        report.error(f"The database {path} is damaged ({faults[0]}). {RESTORE}.")
        return False
    if broken:
        tables = ", ".join(sorted({f"{row[0]} → {row[2]}" for row in broken}))
        report.error(f"{len(broken)} records name others that are missing ({tables}). {RESTORE}.")
    if schema != HEAD:
        if schema is not None and schema > HEAD:
            report.error(
                f"The database has schema {schema}, and this Headstart knows {HEAD}: use the newer Headstart."
            )
        else:
            report.warning(
                f"The database has schema {schema}; the newest is {HEAD}. Start Headstart once, which brings it up to "
                "date, and run the doctor again: the files were not checked."
            )
        return False
    report.checked.append(f"database (schema {schema})")
    return True


def _datasets(database: Database, files: Files, report: Report, say: Callable[[str], None]) -> None:
    query = select(DatasetVersion, col(Dataset.name)).join(
        Dataset, col(Dataset.id) == col(DatasetVersion.dataset_id)
    )
    with database.read() as session:
        versions = session.execute(query.where(col(Dataset.state) == "ready")).all()
    for version, name in versions:
        say(f"data set {name}, version {version.version}")
        what = f"The rows of {name} ({version.dataset_id}, version {version.version})"
        try:
            if content_sha256(files.version(version.dataset_id, version.version)) != version.sha256:
                report.error(f"{what} are not those that were read: their checksum differs. {RESTORE}.")
        except FileNotFoundError:
            if _still(database, DatasetVersion, (version.dataset_id, version.version)):
                report.error(f"{what} are missing. {RESTORE}, or delete the data set and upload it again.")
        except Exception as error:  # pyarrow has errors of its own for what is no Parquet file any more
            report.error(f"{what} can't be read ({type(error).__name__}). {RESTORE}.")
    report.checked.append(f"rows of {len(versions)} versions of data sets")


def _models(database: Database, files: Files, report: Report, say: Callable[[str], None]) -> None:
    with database.read() as session:
        query = select(Run).where(col(Run.state).in_(FINAL_STATES))
        found = list(session.execute(query).scalars())
    models = 0
    for run in found:
        folder = files.model(run.id)
        what = f"The model of the run {run.name!r} ({run.id})"
        if not folder.is_dir():
            if run.state == "succeeded" and _still(database, Run, run.id):
                report.error(f"{what} is missing. {RESTORE}, or train it again.")
            continue
        say(f"model of {run.name}")
        models += 1
        if run.weights_sha256 is not None and folder_sha256(folder) != run.weights_sha256:
            report.error(f"{what} has other weights than when it was finished. {RESTORE}, or train it again.")
        if not files.checkpoint_zip(run.id).is_file():
            report.warning(f"{what} is there but its download is missing. {RESTORE}, which makes it anew.")
    report.checked.append(f"weights of {models} models")


def _unfinished(database: Database, files: Files, report: Report, say: Callable[[str], None]) -> None:
    """The runs that go on some time: from what, and whether exactly."""
    with database.read() as session:
        query = select(Run).where(col(Run.state).not_in(FINAL_STATES))
        found = list(session.execute(query).scalars())
    checkpoints = 0
    for run in found:
        folder = files.run(run.id) / "checkpoints"
        ones = sorted((path for path in folder.glob("[0-9]*") if path.name.isdecimal()), reverse=True)
        faults = {}
        for one in ones:
            say(f"checkpoint of {run.name}, step {int(one.name)}")
            fault = manifest.fault(one, CHECKPOINT_VERSION)
            checkpoints += 1
            if fault is not None and one.exists():  # a trainer removes old ones
                faults[one] = fault
        for one, fault in faults.items():
            then = "it begins again" if len(faults) == len(ones) else "it goes on from the one before"
            report.warning(
                f"The checkpoint of step {int(one.name)} of {run.name!r} ({run.id}) can't be used ({fault}): {then}."
            )
        if run.checkpoint_step and not ones and run.state != "running":
            report.warning(
                f"The checkpoints of {run.name!r} ({run.id}) are missing: it begins again when it starts."
            )
        _plan(run, files, report)
    report.checked.append(f"{checkpoints} checkpoints of {len(found)} runs that are not over")


def _plan(run: Run, files: Files, report: Report) -> None:
    path = files.run(run.id) / "plan.json"
    try:
        libraries = read_json(path).get("libraries", {}) if path.exists() else {}
    except (OSError, ValueError, AttributeError):
        report.warning(
            f"The plan of {run.name!r} ({path}) can't be read: its next attempt fails. {RESTORE}, or start it anew."
        )
        return
    for name, before in libraries.items():
        now = surroundings.version_of(name)
        if now is not None and now.split("+")[0] != str(before).split("+")[0]:
            report.warning(
                f"{run.name!r} ({run.id}) began with {name} {before} and {name} {now} is installed: it goes on, but not to "
                f"exactly the same weights. Install {name} {before} for that."
            )


def _orphans(database: Database, files: Files, report: Report, clock: Clock) -> None:
    with database.read() as session:
        known = {
            "datasets": set(session.execute(select(col(Dataset.id))).scalars()),
            "runs": set(session.execute(select(col(Run.id))).scalars()),
        }
    for room, ids in known.items():
        folders = [path for path in (files.root / room).glob("*") if ID_PATTERN.match(path.name)]
        odd = [path for path in folders if path.name not in ids and path.is_dir()]
        if odd and not ids:
            report.warning(
                f"The database knows no {room}, but {files.root / room} has {len(odd)}: perhaps it is the database of another "
                "folder. Check HEADSTART_DATABASE_URL and HEADSTART_FILES; nothing of them is removed."
            )
            continue
        for path in odd:
            marked = path.with_name(path.name + SUFFIX).exists()  # the next start removes it
            if not marked and not is_alive(path / "v1") and clock() - path.stat().st_mtime > YOUNG_SECONDS:
                report.orphans[path] = folder_bytes(path)
    # Links: to what is there all the same, or to what was deleted since and still takes its bytes.
    report.orphans |= {path: folder_bytes(path) for path in left_behind(files.root)}


def _still(database: Database, table: type[Run] | type[DatasetVersion], key: object) -> bool:
    """Whether it was not deleted meanwhile."""
    with database.read() as session:
        return session.get(table, key) is not None
