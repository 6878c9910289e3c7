"""Tokens, what a maximum length costs, and languages."""

import json
from pathlib import Path

import numpy as np

from app.datasets.doctor.lengths import costs
from app.models.starter import starter_folder
from tests.datasets.doctor.conftest import Doctor, labelled


def test_what_each_maximum_length_costs() -> None:
    counts = np.array([10] * 83 + [200] * 17)
    found = {one["max_length"]: one for one in costs(counts)}
    assert list(found) == [32, 64, 128, 256]
    assert (found[128]["cut"], found[128]["times"]) == (0.17, 1.0)
    # Three batches of 32: two of 10 tokens; one of 128, or of 200: (10 + 10 + 200) / (10 + 10 + 128).
    assert (found[256]["cut"], found[256]["times"]) == (0.0, 1.49)


def test_long_texts_are_told_with_the_models_tokens(doctor: Doctor) -> None:
    rows = labelled(60)
    rows[4][0] = "meadow copper " * 200
    tokenizer = str(Path(starter_folder()) / "tokenizer.json")
    seen = doctor(["text", "label"], rows, tokenizer=tokenizer, model="starter")
    assert seen.rows("long-texts") == {4}
    told = seen.report.told["lengths"]
    assert told["rows"] == 60 and sum(one["rows"] for one in told["histogram"]) == 60
    assert told["longest"] > 400


def test_tokens_are_counted_without_the_signs_of_their_list(doctor: Doctor) -> None:
    tokens = ["it", "rained"] * 40
    rows = [[json.dumps(tokens), json.dumps(["O"] * len(tokens))] for _ in range(20)]
    told = doctor(
        ["tokens", "tags"], rows, text=("tokens",), tokenizer=str(Path(starter_folder()) / "tokenizer.json")
    ).report.told["lengths"]
    assert told["longest"] == told["median"] == len(tokens) + 2  # [CLS] and [SEP]


def test_a_tokenizer_that_is_none_is_left_out(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    assert (
        doctor(["text", "label"], labelled(30), tokenizer=str(tmp_path / "tokenizer.json")).report.told[
            "lengths"
        ]
        is None
    )


def test_another_language_among_many_texts_is_a_note(doctor: Doctor) -> None:
    rows = [
        [f"This is the quite ordinary English sentence about the {text}", label]
        for text, label in labelled(60)
    ]
    german = [
        "Der alte Mann ging langsam über die Brücke und dachte an seine Kinder",
        "Wir haben gestern lange darüber gesprochen, wohin wir im Sommer fahren wollen",
        "Leider war das Essen kalt und die Bedienung ausgesprochen unfreundlich",
    ]
    seen = doctor(["text", "label"], [*rows, *([text, "pos"] for text in german)])
    assert set(seen.notes("languages").values()) == {"German"}
    assert seen.rows("languages") == {60, 61, 62}
    assert seen.report.told["languages"]["en"] > 0.9
