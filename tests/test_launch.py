"""From a spec to a queued run: defaults, every fault at once, and nothing stored when there is one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.core import queue_order, runs
from app.core.db import Database
from app.core.errors import Conflict, Invalid, NoSpace, Unavailable
from app.core.files import Files
from app.core.settings import Settings
from app.core.spec import parse_spec
from app.core.strategies import Full, Partial
from app.core.tables import Dataset
from app.datasets.store import DatasetStore
from app.launch import Launcher
from app.models.catalog import ModelCatalog
from tests.models.conftest import model_files, safetensors


class FullDisk(Files):
    """A data folder on a disk with 300 MB left."""

    def free_bytes(self) -> int:
        return 300 * 2**20


@pytest.fixture
def store(database: Database, files: Files) -> DatasetStore:
    return DatasetStore(database, files)


@pytest.fixture
def add_csv(store: DatasetStore) -> Callable[[str], str]:
    def add(text: str) -> str:
        upload = store.begin("Film reviews.csv", len(text))
        upload.write(text.encode())
        upload.commit()
        store.read(upload.id)
        return str(upload.id)

    return add


def csv_of(rows: int) -> str:
    lines = [f"text number {row},{'good' if row % 2 else 'bad'}" for row in range(rows)]
    return "text,label\n" + "\n".join(lines) + "\n"


@pytest.fixture
def dataset(add_csv: Callable[[str], str]) -> str:
    return add_csv(csv_of(400))


@pytest.fixture
def woken() -> list[str]:
    """The runs that a worker was woken for."""
    return []


@pytest.fixture
def launcher(
    database: Database, files: Files, store: DatasetStore, settings: Settings, woken: list[str]
) -> Launcher:
    return Launcher(
        database, files, store, ModelCatalog(settings), lambda: 1_800_000_000.0, enqueue=woken.append
    )


def write_small(folder: Path, family: str, layers: str, **config: Any) -> None:
    """A folder of a model of few numbers, with blocks as the family names them."""
    folder.mkdir()
    shapes = {"embeddings.word_embeddings.weight": ("F32", [50, 4])}
    shapes |= {f"encoder.{layers}.{place}.dense.weight": ("F32", [4, 4]) for place in range(2)}
    if family == "albert":
        del shapes[f"encoder.{layers}.1.dense.weight"]
    config = {"model_type": family, "max_position_embeddings": 64, "hidden_size": 4, **config}
    for name, content in {**model_files(config), "model.safetensors": safetensors(shapes)}.items():
        (folder / name).write_bytes(content)


def spec_of(dataset: str, **fields: Any) -> dict[str, Any]:
    columns = {"text": "text", "label": "label"}
    return {"dataset": dataset, "task": "classification", "columns": columns, **fields}


def faults(launcher: Launcher, value: Any) -> dict[str, str]:
    """where → message of every fault."""
    with pytest.raises(Invalid) as caught:
        launcher.prepare(value)
    return {problem["where"]: problem["message"] for problem in caught.value.problems}


def test_the_shortest_spec_gets_every_default_with_its_reason(launcher: Launcher, dataset: str) -> None:
    prepared = launcher.prepare(spec_of(dataset))

    spec = prepared.spec
    assert (spec.learning_rate, spec.warmup_ratio, spec.batch_size, spec.weight_decay) == (
        1e-4,
        0.1,
        32,
        0.01,
    )
    assert (spec.max_length, spec.epochs, spec.dataset_version) == (128, 50, 1)
    assert spec.name == "Film reviews: MiniLM-L6, full"
    assert prepared.rows == {"train": 320, "validation": 40, "test": 40}
    assert (prepared.steps, prepared.classes, prepared.labels) == (500, 2, ["bad", "good"])
    assert set(prepared.why) == {
        "learning_rate", "warmup_ratio", "batch_size", "weight_decay", "epochs", "max_length"
    }  # fmt: skip


def test_what_the_user_chose_stays(launcher: Launcher, dataset: str) -> None:
    chosen = {
        "epochs": 2,
        "batch_size": 16,
        "learning_rate": 3e-5,
        "max_length": 64,
        "accumulation": 3,
        "name": "Mine",
    }

    prepared = launcher.prepare(spec_of(dataset, **chosen))

    assert prepared.spec.model_dump() | chosen == prepared.spec.model_dump()
    assert set(prepared.why) == {"warmup_ratio", "weight_decay"}
    # 320 rows in 20 micro-batches, 7 steps an epoch.
    assert prepared.steps == 14


def test_a_complete_spec_is_stored_as_json_and_read_back(launcher: Launcher, dataset: str) -> None:
    complete = launcher.complete(parse_spec(spec_of(dataset)))

    assert parse_spec(json.loads(complete.model_dump_json())) == complete
    assert launcher.complete(complete) == complete


def test_a_blank_name_is_no_name(launcher: Launcher, dataset: str) -> None:
    assert launcher.prepare(spec_of(dataset, name="  ")).spec.name == "Film reviews: MiniLM-L6, full"


def test_launching_stores_the_run_and_wakes_a_worker(
    launcher: Launcher, dataset: str, database: Database, woken: list[str]
) -> None:
    run_id = launcher.launch(spec_of(dataset, name="Mine"))

    assert woken == [run_id]
    with database.read() as session:
        run = runs.get(session, run_id)
    assert (run.name, run.state, run.dataset_id, run.dataset_version) == ("Mine", "queued", dataset, 1)
    assert run.spec["epochs"] == 50 and len(run.dataset_sha256) == 64


def test_the_run_is_stored_before_the_worker_is_woken(
    database: Database, files: Files, store: DatasetStore, settings: Settings, dataset: str
) -> None:
    seen: list[str] = []

    def look(run_id: str) -> None:
        with database.read() as session:
            seen.append(runs.get(session, run_id).state)

    Launcher(database, files, store, ModelCatalog(settings), enqueue=look).launch(spec_of(dataset))

    assert seen == ["queued"]


def test_a_queue_that_is_down_loses_no_run(
    database: Database, files: Files, store: DatasetStore, settings: Settings, dataset: str
) -> None:
    def down(_: str) -> None:
        raise Unavailable("The queue does not answer.")

    run_id = Launcher(database, files, store, ModelCatalog(settings), enqueue=down).launch(spec_of(dataset))

    with database.read() as session:
        assert queue_order.queued_ids(session) == [run_id]


def test_every_fault_is_reported_at_once(launcher: Launcher, dataset: str) -> None:
    value = spec_of(
        dataset,
        columns={"text": "txt", "label": "lbl"},
        model="gpt4",
        epochs=0,
        batch_sise=16,
        split={"kind": "group", "column": "customer"},
    )

    found = faults(launcher, value)

    assert set(found) == {"epochs", "batch_sise", "model", "columns.text", "columns.label", "split.column"}
    assert "not published" in found["model"]


def test_faults_of_data_and_model_come_together(launcher: Launcher, add_csv: Callable[[str], str]) -> None:
    dataset = add_csv(csv_of(20) + "the only one,rare\n")

    found = faults(launcher, spec_of(dataset, max_length=513, eval_steps=100_000))

    assert set(found) == {"max_length", "eval_steps", "columns.label"}
    assert "reads at most 512 tokens" in found["max_length"]
    assert "'rare' has fewer than 2 different texts" in found["columns.label"]


def test_nothing_is_stored_when_something_is_wrong(
    launcher: Launcher, dataset: str, database: Database, woken: list[str]
) -> None:
    with pytest.raises(Invalid):
        launcher.launch(spec_of(dataset, model="local:none"))

    with database.read() as session:
        assert runs.listed(session) == []
    assert woken == []


@pytest.mark.parametrize(
    "model", ["gpt4", "hub:distilbert-base-uncased", "local:../x", "local:none", "bert-base"]
)
def test_a_model_that_is_all_that_is_wrong_gives_the_kind(
    launcher: Launcher, dataset: str, model: str
) -> None:
    with pytest.raises(Invalid) as caught:
        launcher.prepare(spec_of(dataset, model=model))

    assert caught.value.kind == ("network" if model.startswith("hub:") else "model")
    assert [problem["where"] for problem in caught.value.problems] == ["model"]


@pytest.mark.parametrize(
    ("columns", "where", "sentence"),
    [
        ({"text": "text"}, "columns.label", "is required"),
        ({"text": "text", "label": ""}, "columns.label", "is required"),
        ({"text": "text", "label": "text"}, "columns", "must be different columns"),
        (
            {"text": "text", "label": "label", "tags": "x"},
            "columns.tags",
            "has no such role here; it reads text and label",
        ),
        ({}, "columns.text", "is required"),
    ],
)
def test_roles_are_checked(
    launcher: Launcher, dataset: str, columns: dict[str, str], where: str, sentence: str
) -> None:
    assert sentence in faults(launcher, spec_of(dataset, columns=columns))[where]


def test_one_role_has_one_column(launcher: Launcher, dataset: str) -> None:
    columns = {"text": ["text", "label"], "label": "label"}

    found = faults(launcher, spec_of(dataset, columns=columns))

    assert "one column, not a list" in found["columns.text"]


def test_an_unknown_task_names_those_there_are(launcher: Launcher, dataset: str) -> None:
    assert "classification" in faults(launcher, spec_of(dataset, task="poetry"))["task"]


def test_an_option_that_the_task_would_pass_over_is_refused(launcher: Launcher, dataset: str) -> None:
    found = faults(launcher, spec_of(dataset, num_beams=2, target_language="fr"))

    assert set(found) == {"num_beams", "target_language"}
    assert found["num_beams"] == "means nothing for classification; leave it out"


def test_more_blocks_than_the_model_has_is_refused(launcher: Launcher, dataset: str) -> None:
    told = faults(launcher, spec_of(dataset, strategy={"kind": "partial", "layers": 7}))
    assert told == {"strategy.layers": "is 7, but starter has 6 blocks; choose 6 or less"}
    assert launcher.prepare(spec_of(dataset, strategy={"kind": "partial", "layers": 6})).spec.strategy


def test_shared_layers_are_one_block(launcher: Launcher, dataset: str, settings: Settings) -> None:
    assert settings.models_dir is not None
    write_small(settings.models_dir / "albert", "albert", "albert_layer_groups", num_hidden_layers=12)
    spec = spec_of(dataset, model="local:albert", strategy={"kind": "partial", "layers": 2})
    assert faults(launcher, spec)["strategy.layers"].startswith(
        "is 2, but local:albert has 1 block, which runs 12 times;"
    )


def test_matrices_that_no_block_has_are_named(launcher: Launcher, dataset: str) -> None:
    told = faults(launcher, spec_of(dataset, strategy={"kind": "lora", "targets": ["query", "q_proj"]}))
    assert list(told) == ["strategy.targets"]
    assert "'q_proj'; there are dense, key, query, value" in told["strategy.targets"]


def test_a_strategy_has_defaults_of_its_own(launcher: Launcher, dataset: str) -> None:
    lora = launcher.prepare(spec_of(dataset, strategy={"kind": "lora"})).spec
    assert lora.learning_rate == pytest.approx(1e-3) and (lora.weight_decay, lora.batch_size) == (0.0, 16)
    epochs = launcher.prepare(spec_of(dataset, strategy={"kind": "head"}, epochs=3)).spec
    assert (epochs.learning_rate, epochs.epochs) == (1e-3, 3)
    fitted = launcher.prepare(spec_of(dataset, strategy={"kind": "head"}))
    assert fitted.spec.epochs is None and "optimum" in fitted.why["epochs"]


def test_electras_layer_decay_is_filled_in_unless_it_is_given(
    launcher: Launcher, dataset: str, settings: Settings
) -> None:
    assert settings.models_dir is not None
    write_small(settings.models_dir / "electra", "electra", "layer")
    spec = spec_of(dataset, model="local:electra")
    usual = launcher.prepare(spec)
    assert usual.spec.strategy == Full(layer_decay=0.8) and "electra" in usual.why["layer_decay"]
    mine = launcher.prepare({**spec, "strategy": {"kind": "partial", "layers": 1, "layer_decay": 1.0}})
    assert mine.spec.strategy == Partial(kind="partial", layers=1, layer_decay=1.0)
    assert "layer_decay" not in mine.why


def test_a_fault_of_the_columns_does_not_hide_the_length(launcher: Launcher, dataset: str) -> None:
    assert set(faults(launcher, spec_of(dataset, columns={"text": "text"}, max_length=600))) == {
        "columns.label",
        "max_length",
    }


def test_a_single_label_is_refused(launcher: Launcher, add_csv: Callable[[str], str]) -> None:
    dataset = add_csv("text,label\n" + "".join(f"text {row},good\n" for row in range(20)))

    assert "every row has the label 'good'" in faults(launcher, spec_of(dataset))["columns.label"]


def test_an_empty_part_is_named(launcher: Launcher, add_csv: Callable[[str], str]) -> None:
    dataset = add_csv("text,label\na,x\nb,x\nc,y\nd,y\n")

    found = faults(launcher, spec_of(dataset))

    assert set(found) == {"split"}
    assert "the validation part is empty" in found["split"]


def test_a_split_that_cannot_be_followed_says_where(
    launcher: Launcher, add_csv: Callable[[str], str]
) -> None:
    lines = [f"text {row},{row % 2},{['train', 'val', 'test'][row % 3]}" for row in range(12)]
    dataset = add_csv("text,label,part\n" + "\n".join([*lines, "text,1,holdout"]) + "\n")

    found = faults(launcher, spec_of(dataset, split={"kind": "column", "column": "part"}))

    assert set(found) == {"split"}
    assert "line 14" in found["split"] and "'holdout'" in found["split"]


def test_a_model_left_empty_is_one_fault_and_no_other_is_judged(launcher: Launcher, dataset: str) -> None:
    columns = {"source": "text", "target": "label"}  # which the default model could not do
    found = faults(launcher, spec_of(dataset, task="text2text", columns=columns, model=""))

    assert found == {"model": "is empty: choose one"}


def test_unknown_data_is_a_fault_of_the_spec(launcher: Launcher) -> None:
    assert "There is no data set" in faults(launcher, spec_of("abcdefabcdef"))["dataset"]


def test_an_unknown_version_is_a_fault_of_the_spec(launcher: Launcher, dataset: str) -> None:
    assert "has no version 7" in faults(launcher, spec_of(dataset, dataset_version=7))["dataset"]


def test_data_that_is_still_being_read_is_a_conflict(
    launcher: Launcher, database: Database, dataset: str
) -> None:
    with database.write() as session:
        found = session.get(Dataset, dataset)
        assert found is not None
        found.state = "reading"

    with pytest.raises(Conflict, match="still being read"):
        launcher.prepare(spec_of(dataset))


@pytest.mark.parametrize("value", [None, [], "starter", 3, {}, {"dataset": "../x"}])
def test_what_is_no_spec_is_refused(launcher: Launcher, value: object) -> None:
    with pytest.raises(Invalid, match="The run can't start"):
        launcher.prepare(value)


def test_too_little_disk_is_said_before_anything_is_stored(
    database: Database, store: DatasetStore, settings: Settings, dataset: str
) -> None:
    launcher = Launcher(
        database, FullDisk(settings.files_root), store, ModelCatalog(settings), enqueue=pytest.fail
    )

    with pytest.raises(NoSpace, match="Too little disk for the run's weights"):
        launcher.launch(spec_of(dataset))


def test_a_local_model_gives_its_own_limit_and_title(
    launcher: Launcher, settings: Settings, dataset: str
) -> None:
    assert settings.models_dir is not None
    write_tiny(settings.models_dir / "tiny")

    prepared = launcher.prepare(spec_of(dataset, model="local:tiny"))

    assert (prepared.spec.max_length, prepared.spec.name) == (64, "Film reviews: tiny, full")
    assert "64" in faults(launcher, spec_of(dataset, model="local:tiny", max_length=65))["max_length"]


def test_steps_that_only_the_tokens_tell_bound_no_evaluation(launcher: Launcher, dataset: str) -> None:
    # 320 rows make 30 steps; windows or blocks of their texts make more of them, or fewer.
    windows = spec_of(dataset, eval_steps=100, epochs=3, batch_size=32, truncation="windows")
    blocks = spec_of(dataset, eval_steps=100, epochs=3, task="adaptation", columns={"text": "text"})

    assert launcher.prepare(windows).spec.eval_steps == 100
    assert launcher.prepare(blocks).spec.eval_steps == 100
    assert set(faults(launcher, {**windows, "truncation": "end"})) == {"eval_steps"}


def test_a_decoder_of_few_positions_writes_half_of_what_it_reads(
    launcher: Launcher, settings: Settings, dataset: str
) -> None:
    assert settings.models_dir is not None
    write_tiny(settings.models_dir / "tiny", '{"model_type": "gpt2", "n_positions": 64}')
    spec = spec_of(dataset, model="local:tiny", task="generation", columns={"text": "text"})

    assert launcher.prepare(spec).spec.max_new_tokens == 32
    assert "at most 32" in faults(launcher, {**spec, "max_new_tokens": 64})["max_new_tokens"]


def write_tiny(folder: Path, config: str = '{"model_type": "bert", "max_position_embeddings": 64}') -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    folder.mkdir()
    (folder / "config.json").write_text(config)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
