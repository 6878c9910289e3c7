"""Figures, verdicts and the table of baselines, by what the tasks say of themselves."""

from typing import Any

import pytest

from app.tasks.base import Metric
from app.web.standing import (
    baseline_table,
    curves_title,
    figure,
    finished_kpis,
    gap,
    held_out,
    running_kpis,
    verdict,
)

RMSE = Metric("rmse", "RMSE", lower=True, top=None)


def view(task: str, metrics: dict[str, float] | None, **baselines: dict[str, float]) -> dict[str, Any]:
    return {
        "task": task,
        "spec": {},
        "state": "succeeded",
        "metrics": metrics,
        "baselines": baselines,
        "results": {"rows": 1000},
        "best_step": 20,
    }


def said(task: str, metrics: dict[str, float], **baselines: dict[str, float]) -> tuple[str, str]:
    found = verdict(view(task, metrics, **baselines))
    assert found is not None
    return found["tone"], found["text"]


def test_figures_have_the_digits_of_their_scale() -> None:
    bleu = Metric("bleu", "BLEU", top=100.0)
    assert [figure(bleu, 31.44), figure(Metric("f1", "F1"), 0.8614), figure(RMSE, None)] == [
        "31.4",
        "0.861",
        "–",
    ]
    assert [figure(RMSE, value) for value in (0.5, 35.2, 1204.5, 31_000.4)] == [
        "0.500",
        "35.20",
        "1,204.5",
        "31,000",
    ]
    assert [gap(bleu, 31.4, 12.1), gap(RMSE, 1.0, 1.2), gap(RMSE, 1.0, 1.0001)] == [
        "+19.3",
        "−0.200",
        "±0.000",
    ]


@pytest.mark.parametrize(
    ("mine", "theirs", "tone", "part"),
    [
        (
            0.972,
            0.984,
            "bad",
            "TF-IDF with logistic regression is better on these rows by 0.012 accuracy. It is also faster",
        ),
        (0.984, 0.984, "warn", "no better than TF-IDF with logistic regression, which is faster and smaller"),
        (0.9841, 0.984, "warn", "no better than"),
        (0.989, 0.984, "warn", "hardly better than"),
        (0.9, 0.8, "ok", "gets 10.0 of 100 held-out rows more right than TF-IDF with logistic regression"),
    ],
)
def test_a_classifier_against_tfidf(mine: float, theirs: float, tone: str, part: str) -> None:
    found = said("classification", {"accuracy": mine}, tfidf={"accuracy": theirs}, majority={"accuracy": 0.3})
    assert found[0] == tone and part in found[1]


def test_a_fitted_head_is_not_told_to_train_for_more_epochs() -> None:
    run = view("classification", {"accuracy": 0.6}, tfidf={"accuracy": 0.7})
    for strategy, part in ({"kind": "head"}, "trains more than the head"), ({"kind": "full"}, "more epochs"):
        found = verdict({**run, "spec": {"strategy": strategy}})
        assert found is not None and part in found["text"]


def test_the_best_baseline_counts_whichever_it_is() -> None:
    tone, text = said(
        "classification", {"accuracy": 0.6}, tfidf={"accuracy": 0.65}, majority={"accuracy": 0.7}
    )
    assert tone == "bad" and "A guess without a model (most frequent label) is better" in text
    assert "by 0.100 accuracy" in text and "faster" not in text


def test_of_an_error_the_lower_is_better() -> None:
    better = view("score", {"rmse": 0.5, "mae": 0.4}, tfidf={"rmse": 0.7, "mae": 0.3}, majority={"rmse": 1.1})
    assert said("score", {"rmse": 0.5}, tfidf={"rmse": 0.7}) == (
        "ok",
        "The model is better than TF-IDF with ridge regression: RMSE 0.500 against 0.700 (lower is better) on the same rows.",
    )
    assert said("score", {"rmse": 0.8}, tfidf={"rmse": 0.7})[0] == "bad"
    assert "by 0.100 RMSE" in said("score", {"rmse": 0.8}, tfidf={"rmse": 0.7})[1]
    assert said("score", {"rmse": 0.695}, tfidf={"rmse": 0.7})[0] == "warn"
    kpi = finished_kpis(better, {})[1]
    assert (kpi["title"], kpi["value"], kpi["tone"]) == ("against TF-IDF (0.700)", "−0.200", "good")
    assert held_out(better) == {"held_out": "0.500", "against": "RMSE · 0.200 better than TF-IDF"}
    best = [[cell["best"] for cell in row["cells"]] for row in baseline_table(better)["rows"]]
    assert best == [[True, False, False], [False, True, False]]


def test_text_that_the_model_wrote_before_is_a_baseline() -> None:
    now, before, copy = (
        {"bleu": 31.4, "chrf": 57.0},
        {"bleu": 12.1, "chrf": 38.0},
        {"bleu": 1.0, "chrf": 18.0},
    )
    assert said("text2text", now, before=before, copy=copy) == (
        "ok",
        "The training brought BLEU from 12.1 to 31.4 on rows that the model never learned from.",
    )
    assert (
        "was better before the training: BLEU 31.4, now 12.1"
        in said("text2text", before, before=now, copy=copy)[1]
    )
    tone, text = said("text2text", {"bleu": 0.4, "chrf": 9.0}, before={"bleu": 0.1, "chrf": 3.0}, copy=copy)
    assert (
        tone == "bad"
        and "A guess without a model (the source, unchanged) is better on these rows by 0.6 BLEU" in text
    )


def test_a_perplexity_before_stands_beside_the_one_after() -> None:
    run = view("adaptation", {"perplexity": 21.4, "perplexity_before": 35.2})
    table = baseline_table(run)
    assert table["columns"] == ["this model", "the model before the adaptation"]
    assert [[cell["text"] for cell in row["cells"]] for row in table["rows"]] == [["21.40", "35.20"]]
    found = verdict(run)
    assert found is not None and "brought perplexity from 35.20 to 21.40" in found["text"]
    assert held_out(run)["against"] == "perplexity · 13.80 better than before"


def test_a_task_that_is_not_there_any_more_still_has_its_figures() -> None:
    run = view("ninth", {"some_score": 0.5, "other": 0.1}, old={"some_score": 0.75})
    assert baseline_table(run)["columns"] == ["this model", "old"]
    assert held_out(run) == {"held_out": "0.500", "against": "some score · −0.250 over old"}
    assert curves_title("ninth") == ""


def test_without_figures_there_is_no_verdict() -> None:
    assert verdict(view("classification", None)) is None
    assert verdict(view("classification", {"accuracy": 0.5})) is None
    assert held_out(view("classification", None)) == {"held_out": None, "against": ""}


def test_while_it_runs_the_curves_of_the_task_are_its_key_figures() -> None:
    run = {**view("score", None), "state": "running"}
    lasts: dict[str, list[Any]] = {
        "validation/rmse": [0.9, 0.6, 0.7],
        "validation/pearson": [0.2, None],
        "validation/loss": [1.0, 0.8],
    }
    kpis = {kpi["title"]: (kpi["value"], kpi["note"]) for kpi in running_kpis(run, lasts)}
    assert kpis["validation RMSE"] == ("0.700", "best 0.600")
    assert kpis["Pearson correlation"] == ("0.200", "best 0.200")
    assert kpis["validation loss"] == ("0.800", "was 1.000")
    assert running_kpis(run, {})[0]["note"] == "not measured yet"


def test_curves_have_a_title() -> None:
    assert curves_title("classification") == "Accuracy and macro F1"
    assert curves_title("text2text").startswith("chrF")
