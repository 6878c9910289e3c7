"""The command line: headstart serve | worker | web | check | train, and with app/run_commands.py: runs | pause | … | log."""

import contextlib
import json
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn, get_args

import typer
from pydantic import ValidationError

from app import run_commands
from app.core.errors import HeadstartError, Invalid
from app.core.settings import Settings

cli = typer.Typer(
    help="Headstart: fine-tune pre-trained transformers on your text.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Home = Annotated[Path | None, typer.Option(help="The data folder (HEADSTART_HOME).")]
Port = Annotated[int | None, typer.Option(help="Port of the web server (HEADSTART_PORT).")]


def main() -> None:
    """The console script. An expected error is one sentence on stderr and exit code 1."""
    try:
        cli()
    except HeadstartError as error:
        fail(error)


@cli.command()
def serve(home: Home = None, port: Port = None) -> None:
    """Serve the web app with everything it needs; stops on Ctrl-C or SIGTERM."""
    from app.serve import serve as run

    run(read_settings(home=home, port=port), say)


@cli.command()
def worker(home: Home = None) -> None:
    """Only the worker and the predictor, for a web server and a broker that run elsewhere."""
    from app.serve import work

    work(read_settings(home=home), say)


@cli.command()
def web(home: Home = None, port: Port = None) -> None:
    """Only the web server, for a broker and a worker that run elsewhere."""
    import uvicorn

    from app.core.files import make_home
    from app.core.logs import log_to
    from app.main import create_app

    settings = read_settings(home=home, port=port)
    make_home(settings.home)
    log_to(settings.home / "logs" / "web.log")
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_level="info",
        log_config=None,
        access_log=False,
        server_header=False,
        # An open event stream must not keep a stopping server alive.
        timeout_graceful_shutdown=3,
    )


@cli.command()
def check(
    file: Annotated[Path, typer.Argument(help="Any file that can be uploaded.", exists=True, dir_okay=False)],
    task: Annotated[str | None, typer.Option(help="What it is for; default: what its columns fit.")] = None,
    text: Annotated[
        list[str] | None, typer.Option(help="The column with the texts; may be given again.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="The column with the labels; '' for none.")] = None,
) -> None:
    """Say what is wrong with FILE before anything is trained; exit code 1 if something must be mended."""
    from app.check_file import check_file

    if not check_file(file, task, text or [], label):
        raise SystemExit(1)


@cli.command()
def train(
    file: Annotated[
        Path,
        typer.Argument(
            help="A table with a header, JSON lines, CoNLL or plain text.", exists=True, dir_okay=False
        ),
    ],
    text: Annotated[str | None, typer.Option(help="The column with the texts.")] = None,
    label: Annotated[str | None, typer.Option(help="The column with the labels.")] = None,
    task: Annotated[str, typer.Option(help="What to learn.")] = "classification",
    column: Annotated[
        list[str] | None,
        typer.Option(help="ROLE=COLUMN for other roles, as source=english; may be given again."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            help="FIELD=VALUE of the run spec, as truncation=windows, or of its strategy, as strategy.rank=8; "
            "may be given again."
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="starter, hub:ID, local:NAME or run:ID.")] = "starter",
    strategy: Annotated[
        str, typer.Option(help="What of the model learns: full, head, partial, gradual or lora.")
    ] = "full",
    epochs: Annotated[int | None, typer.Option(help="Default: by the number of rows.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Default: by the model's family.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Default: by the model's family.")] = None,
    max_length: Annotated[int | None, typer.Option(help="Tokens; default 128.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed, another run.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Where to leave the model folder.")] = None,
    home: Home = None,
) -> None:
    """Fine-tune on FILE without a browser; the metrics come last, as JSON on standard output."""
    from app.train import train_file

    options = {
        "task": task,
        "columns": _columns(text, label, column or []),
        "model": model,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "max_length": max_length,
        "seed": seed,
        **_options(strategy, option or []),
    }
    metrics = train_file(read_settings(home=home), file, options, out)
    print(json.dumps(metrics, indent=2))


@cli.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The tar to write; it must not exist.")],
    home: Home = None,
) -> None:
    """Copy database, data sets, runs and checkpoints into FILE, also while Headstart runs."""
    from app.care.backup import backup as run
    from app.care.bar import bar, size

    with bar("backing up") as tell:
        done = run(read_settings(home=home), file, tell)
    for line in done.missing:
        print(f"Warning: {line} `headstart doctor` says more.", file=sys.stderr)
    say(f"Wrote {done.path}: {size(done.bytes)}, {done.datasets} data sets, {done.runs} runs.")


@cli.command()
def restore(
    file: Annotated[Path, typer.Argument(help="What `headstart backup` wrote.", exists=True, dir_okay=False)],
    home: Annotated[Path, typer.Option(help="The data folder to make: new, or empty.")],
) -> None:
    """Make a data folder of a backup; runs that were running go on from their checkpoints."""
    from app.care.bar import bar, size
    from app.care.restore import restore as run

    with bar("restoring") as tell:
        done = run(file, home, tell)
    waits = (
        f" {done.waiting} {'run waits' if done.waiting == 1 else 'runs wait'} in the queue."
        if done.waiting
        else ""
    )
    say(f"Restored {size(done.bytes)} to {done.home}.{waits} Serve it: headstart serve --home {done.home}")


@cli.command()
def doctor(
    home: Home = None,
    fix: Annotated[bool, typer.Option(help="Remove folders that no record names.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --fix: don't ask.")] = False,
) -> None:
    """Check database, checksums, leftovers and surroundings; exits with 1 if something is broken."""
    from app.care.doctor_command import run

    run(read_settings(home=home), fix, yes)


def _columns(text: str | None, label: str | None, others: list[str]) -> dict[str, str | list[str]]:
    """role → column; a role that is named again has a list of columns (multilabel's 0/1 columns)."""
    found: dict[str, str | list[str]] = {}
    given = [("text", text)] * (text is not None) + [("label", label)] * (label is not None)
    for role, name in [*given, *(_pair(other, "--column ROLE=COLUMN") for other in others)]:
        assert name is not None
        before = found.get(role)
        found[role] = name if before is None else [*([before] if isinstance(before, str) else before), name]
    return found


def _options(strategy: str, given: list[str]) -> dict[str, Any]:
    """The fields of --option; strategy.NAME goes into the strategy, where names with commas between are a list."""
    found: dict[str, Any] = {"strategy": {"kind": strategy}}
    for name, value in (_pair(one, "--option FIELD=VALUE") for one in given):
        whole, dot, part = name.partition(".")
        if whole == "strategy" and dot:
            several = part == "targets" and value != "auto"
            names = [one.strip() for one in value.split(",")]
            found["strategy"][part] = names if several else _typed(value)
        else:
            found[name] = value if name in _texts() else _typed(value)
    return found


def _typed(text: str) -> Any:
    """The number, true, false or null that `text` is in JSON; else the text itself, for the spec to refuse by name."""
    try:
        found = json.loads(text.lower())
    except ValueError:
        return text
    return found if found is None or isinstance(found, bool | int | float) else text


def _texts() -> set[str]:
    """Fields of a run spec whose value is a text, whatever it looks like."""
    from app.core.spec import RunSpec

    return {
        name
        for name, field in RunSpec.model_fields.items()
        if str in (field.annotation, *get_args(field.annotation))
    }


def _pair(given: str, form: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not equals or not name.strip() or not value:
        raise Invalid(f"{given!r} is not of the form {form}.")
    return name.strip(), value


def read_settings(**given: Any) -> Settings:
    """Settings from the environment and the command line; a bad one is a sentence and exit code 1."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        for fault in error.errors():
            name = "".join(f"HEADSTART_{str(part).upper()}: " for part in fault["loc"])
            print(f"{name}{fault['msg'].removeprefix('Value error, ')}", file=sys.stderr)
        raise SystemExit(1) from None


def say(line: str) -> None:
    """Prints at once. A terminal that was closed is no reason to leave processes behind."""
    with contextlib.suppress(OSError):
        print(line, flush=True)


def fail(error: HeadstartError) -> NoReturn:
    print(f"Error: {error.message}", file=sys.stderr)
    for problem in error.problems[1:]:
        print(f"  {problem['where']}: {problem['message']}", file=sys.stderr)
    raise SystemExit(1)


def _changes(strategy: dict[str, Any], given: list[str]) -> dict[str, Any]:
    """The fields of --option for a run with this `strategy`; fields of the strategy change it."""
    found = _options(strategy["kind"], given)
    changed = found.pop("strategy")
    return {**found, "strategy": {**strategy, **changed}} if len(changed) > 1 else found


run_commands.register(cli, read_settings, _changes)

if __name__ == "__main__":
    main()
