"""The new-run form and the spec, both ways."""

from app.core.spec import parse_spec
from app.web.form import by_field, field_of, form_from_spec, spec_from_form

FORM = {"dataset": "a" * 12, "text": "t", "label": "l", "model": "starter"}


def test_empty_fields_are_left_out() -> None:
    spec = spec_from_form({**FORM, "epochs": "", "name": "  ", "seed": " 3 "})
    assert spec == {
        "dataset": "a" * 12,
        "task": "classification",
        "columns": {"text": "t", "label": "l"},
        "model": "starter",
        "seed": "3",
        "split": {"kind": "random"},
    }
    assert parse_spec(spec).seed == 3


def test_a_typed_model_wins_only_if_its_card_is_chosen() -> None:
    assert spec_from_form({**FORM, "model_other": "hub:x"})["model"] == "starter"
    assert spec_from_form({**FORM, "model": "other", "model_other": " hub:x "})["model"] == "hub:x"


def test_a_split_has_only_the_fields_of_its_kind() -> None:
    typed = {"split_column": "day", "train": "0.6", "validation": "0.2", "test": "0.2", "split_seed": "4"}
    random = spec_from_form({**FORM, **typed, "split": "random"})["split"]
    assert random == {"kind": "random", "train": "0.6", "validation": "0.2", "test": "0.2", "seed": "4"}
    assert spec_from_form({**FORM, **typed, "split": "column"})["split"] == {
        "kind": "column",
        "column": "day",
    }
    assert spec_from_form({**FORM, **typed, "split": "time"})["split"]["column"] == "day"


def test_a_spec_survives_the_way_through_the_form() -> None:
    given = parse_spec(
        {
            "dataset": "a" * 12,
            "task": "classification",
            "columns": {"text": "t", "label": "l"},
            "model": "hub:some/model",
            "epochs": 4,
            "learning_rate": 3.3333333333333335e-05,
            "early_stopping": {"patience": 2},
            "class_weights": "balanced",
            "label_smoothing": 0.1,
            "split": {"kind": "group", "column": "who", "train": 0.7, "validation": 0.1, "test": 0.2},
        }
    )
    form = form_from_spec(given.model_dump(mode="json"), {"starter"}, ())
    assert (form["model"], form["model_other"]) == ("other", "hub:some/model")
    assert parse_spec(spec_from_form(form)) == given


def test_problems_find_their_fields() -> None:
    assert field_of("columns.text") == "text"
    assert field_of("split.column") == "split_column"
    assert field_of("split.seed") == "split_seed"
    assert field_of("split.train") == "train"
    assert field_of("split") == "split"
    assert field_of("early_stopping.patience") == "early_stopping"
    assert field_of("line 7") == ""
    found = by_field([{"where": "line 7", "message": "odd"}, {"where": "seed", "message": "no"}])
    assert found == {"": ["line 7: odd"], "seed": ["no"]}
