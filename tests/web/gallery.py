"""A finished run of each task as the worker leaves it: metrics, baselines, results with every key, held-out rows."""

import random
from dataclasses import dataclass, field
from typing import Any

from app.core import attempts, runs
from app.core.attempts import Batch
from app.core.events import PointValue
from app.core.files import new_id
from app.core.spec import RunSpec
from app.tasks import heldout
from app.tasks.heldout import Prediction
from app.web.services import Services

HOSTILE = "<script>alert('x')</script>"
_random = random.Random(7)
_PER_CLASS = [
    {"label": "positive", "precision": 0.91, "recall": 0.88, "f1": 0.895, "support": 160},
    {"label": HOSTILE, "precision": 0.84, "recall": 0.87, "f1": 0.855, "support": 120},
]


@dataclass
class Ending:
    """What a run of a task ends with."""

    columns: dict[str, Any]
    metrics: dict[str, float]
    baselines: dict[str, dict[str, float]]
    results: dict[str, Any]
    predictions: list[Prediction]
    curves: dict[str, list[float]] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)


def finished(services: Services, task: str, dataset: str, parent: str | None = None, **changes: Any) -> str:
    """A succeeded run of the task with its files; returns its id. `changes`: of its Ending."""
    ending = ENDINGS[task]()
    for name, value in changes.items():
        setattr(ending, name, value)
    model = f"run:{parent}" if parent else "starter"
    spec = RunSpec(
        dataset=dataset,
        dataset_version=1,
        task=task,
        columns=ending.columns,
        model=model,
        name=f"{task} run",
        epochs=3,
        batch_size=32,
        learning_rate=5e-5,
        max_length=128,
        warmup_ratio=0.1,
        weight_decay=0.01,
    )
    run_id, now = new_id(), services.clock()
    with services.database.write() as session:
        runs.create(session, run_id, spec, "0" * 64, now, 90, (parent, "1" * 64) if parent else None)
        attempt = attempts.claim(session, run_id, now)
        assert attempt is not None
        points = [PointValue("train/loss", step, 2 / (1 + step / 20), now) for step in range(1, 91)]
        points += [
            PointValue("train/learning_rate", step, 5e-5 * (1 - step / 91), now) for step in range(1, 91)
        ]
        for series, values in {"loss": [0.9, 0.6, 0.5], **ending.curves}.items():
            points += [
                PointValue(f"validation/{series}", 30 * n + 30, value, now) for n, value in enumerate(values)
            ]
        batch = Batch(
            points=points, samples=[(now, one) for one in ending.samples], progress={"step": 90, "steps": 90}
        )
        attempts.record(session, run_id, attempt, batch, now)
        attempts.finish(
            session,
            run_id,
            attempt,
            "succeeded",
            now,
            metrics=ending.metrics,
            baselines=ending.baselines,
            results=ending.results,
            best_step=60,
        )
    services.files.model(run_id).mkdir(parents=True)
    services.files.checkpoint_zip(run_id).write_bytes(b"PK")
    heldout.write(services.files.run(run_id) / heldout.FILE, ending.predictions)
    return run_id


def _classification(columns: dict[str, str] | None = None, **detail: Any) -> Ending:
    labels = ["positive", HOSTILE]
    predictions = []
    for row in range(120):
        truth, guess = labels[row % 2], labels[(row // 7) % 2]
        share = 0.5 + 0.49 * _random.random()
        wrong = truth != guess
        predictions.append(
            Prediction(
                row,
                f"A film that is number {row} of its kind, and not the {HOSTILE} best of them.",
                truth,
                guess,
                wrong,
                share if wrong else -share,
                tuple({truth: 0, guess: 0}),
                {"probability": share, **detail},
            )
        )
    bins = [
        {
            "low": low / 15,
            "high": (low + 1) / 15,
            "rows": 3 * (low - 6) ** 2,
            "confidence": (low + 0.5) / 15,
            "accuracy": (low + 0.5) / 15 - 0.04 * (low % 3),
        }
        for low in range(7, 15)
    ]
    return Ending(
        columns or {"text": "text", "label": "label"},
        {"accuracy": 0.876, "macro_f1": 0.875, "roc_auc": 0.94, "log_loss": 0.31, "ece": 0.043},
        {
            "tfidf": {"accuracy": 0.881, "macro_f1": 0.879, "roc_auc": 0.951, "log_loss": 0.35, "ece": 0.09},
            "majority": {"accuracy": 0.57, "macro_f1": 0.363, "log_loss": 0.68},
        },
        {
            "rows": 280,
            "labels": labels,
            "per_class": _PER_CLASS,
            "confusion": [[141, 19], [16, 104]],
            "reliability": bins,
            "notes": [f"The label {HOSTILE} has few rows."],
            "advice": "Try half the learning rate.",
            "truncated": 37,
        },
        predictions,
        {"accuracy": [0.7, 0.86, 0.87], "macro_f1": [0.6, 0.85, 0.87]},
    )


def _pair() -> Ending:
    return _classification(
        {"text": "text", "text_pair": "text_pair", "label": "label"}, text_pair=f"Another text {HOSTILE}."
    )


def _multilabel() -> Ending:
    names = ["role::program", "role::app-data", "interface::x11", "use::gameplaying", HOSTILE]
    predictions = []
    for row in range(60):
        true = [name for place, name in enumerate(names) if (row + place) % 3 == 0]
        given = [name for place, name in enumerate(names) if (row + place) % 3 == 0 or (row * place) % 7 == 1]
        given = given[: 1 + row % 3]
        predictions.append(
            Prediction(
                row,
                f"Package number {row}: plays a game of patience",
                "|".join(true),
                "|".join(given),
                true != given,
                float(len(set(true) ^ set(given))),
                tuple(dict.fromkeys([*true, *given])),
                {"true": true, "predicted": given},
            )
        )
    per_class = [
        {
            "label": name,
            "precision": 0.9 - place / 10,
            "recall": 0.8 - place / 9,
            "f1": 0.85 - place / 6,
            "support": 90 - 20 * place,
            "threshold": 0.5 - place / 20,
        }
        for place, name in enumerate(names)
    ]
    return Ending(
        {"text": "text", "label": "label"},
        {"micro_f1": 0.802, "macro_f1": 0.611},
        {"tfidf": {"micro_f1": 0.74, "macro_f1": 0.52}, "majority": {"micro_f1": 0.33, "macro_f1": 0.1}},
        {"rows": 60, "labels": names, "per_class": per_class, "notes": []},
        predictions,
        {"micro_f1": [0.5, 0.7, 0.8], "macro_f1": [0.3, 0.5, 0.6]},
    )


def _score() -> Ending:
    truth = [round(1 + 4 * _random.random(), 1) for _ in range(300)]
    predicted = [value + _random.gauss(0, 0.5) for value in truth]
    predictions = [
        Prediction(
            row,
            f"The room number {row} was fine {HOSTILE}",
            str(true),
            str(guess),
            abs(guess - true) > 0.9,
            abs(guess - true),
            (),
            {"truth": true, "predicted": guess},
        )
        for row, (true, guess) in enumerate(zip(truth, predicted, strict=True))
    ]
    return Ending(
        {"text": "text", "label": "label"},
        {"rmse": 0.512, "mae": 0.401, "pearson": 0.91, "spearman": 0.9},
        {
            "tfidf": {"rmse": 0.731, "mae": 0.6, "pearson": 0.7, "spearman": 0.69},
            "majority": {"rmse": 1.14, "mae": 0.98},
        },
        {"rows": 300, "scatter": {"truth": truth, "predicted": predicted}, "notes": []},
        predictions,
        {"rmse": [0.9, 0.6, 0.51], "pearson": [0.4, 0.8, 0.9]},
    )


def _tagging() -> Ending:
    tokens = ["Angela", "Merkel", "visited", "Rio", "de", "Janeiro", "with", "Siemens", "on", HOSTILE]
    cases: list[tuple[list[Any], list[Any]]] = [
        (
            [[0, 2, "PER"], [3, 6, "LOC"], [7, 8, "ORG"]],
            [[0, 2, "PER"], [3, 4, "LOC"], [7, 8, "LOC"], [9, 10, "ORG"]],
        ),
        ([[0, 2, "PER"], [7, 8, "ORG"]], [[0, 2, "PER"]]),
        ([[0, 2, "PER"]], [[0, 2, "PER"], [3, 6, "LOC"]]),
        ([[0, 2, "PER"]], [[0, 2, "PER"]]),
    ]
    predictions = [
        Prediction(
            row,
            " ".join(tokens),
            "; ".join(f"{kind}" for _, _, kind in true),
            "; ".join(f"{kind}" for _, _, kind in guess),
            true != guess,
            float(len(true) + len(guess)) if true != guess else -0.9,
            tuple(sorted({kind for _, _, kind in (*true, *guess)})),
            {"tokens": tokens, "true": true, "predicted": guess},
        )
        for row, (true, guess) in enumerate(cases * 3)
    ]
    chinese = list("我们在北京和上海见过王小明")
    predictions.append(
        Prediction(
            99,
            "".join(chinese),
            "",
            "",
            True,
            99.0,
            ("LOC", "PER"),
            {
                "tokens": chinese,
                "true": [[3, 5, "LOC"], [6, 8, "LOC"], [10, 13, "PER"]],
                "predicted": [[3, 5, "LOC"], [10, 13, "PER"], [0, 2, "PER"]],
            },
        )
    )
    types = ["LOC", "ORG", "PER"]
    return Ending(
        {"tokens": "tokens", "tags": "tags"},
        {"precision": 0.81, "recall": 0.77, "f1": 0.789},
        {"majority": {"precision": 0.6, "recall": 0.41, "f1": 0.487}},
        {
            "rows": 13,
            "labels": types,
            "per_class": [
                {**_PER_CLASS[0], "label": name, "f1": 0.9 - n / 8} for n, name in enumerate(types)
            ],
            "notes": ["Of 30 entities in 13 sentences the model finds 20 with both ends and type right."],
        },
        predictions,
        {"precision": [0.6, 0.7, 0.8], "recall": [0.5, 0.7, 0.77], "f1": [0.55, 0.7, 0.79]},
    )


def _text2text() -> Ending:
    predictions = [
        Prediction(
            row,
            f"The kettle number {row} is on the stove.",
            f"La bouilloire numéro {row} est sur la cuisinière.",
            f"Le chaudron {row} est {HOSTILE}.",
            row < 6,
            -20.0 - row,
            (),
            {
                "source": f"The kettle number {row} is on the stove.",
                "reference": f"La bouilloire numéro {row} est sur la cuisinière.",
                "output": f"Le chaudron {row} est {HOSTILE}.",
                "chrf": 20.0 + row,
            },
        )
        for row in range(60)
    ]
    return Ending(
        {"source": "source", "target": "target"},
        {"bleu": 31.42, "chrf": 57.3},
        {"before": {"bleu": 12.1, "chrf": 38.0}, "copy": {"bleu": 1.2, "chrf": 17.9}},
        {
            "rows": 60,
            "signatures": {
                "bleu": "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.5.1",
                "chrf": "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.5.1",
            },
            "settings": {"beams": 4, "max_new_tokens": 64},
            "notes": [],
        },
        predictions,
        {"bleu": [12.0, 25.0, 30.0], "chrf": [40.0, 52.0, 57.0]},
        [
            _sample(step, ["a source"], [f"un texte après {step} pas"], ["une source"])
            for step in (30, 60, 90)
        ],
    )


def _generation() -> Ending:
    predictions = [
        Prediction(
            row,
            f"Question {row}: what is {HOSTILE}?",
            "A script.",
            "A text." if row < 4 else "",
            row < 4,
            4.0 - row / 10,
            (),
            {
                "prompt": f"Question {row}: what is {HOSTILE}?",
                "reference": "A script.",
                "output": "A text." if row < 4 else "",
                "loss": 4.0 - row / 10,
            },
        )
        for row in range(20)
    ]
    prompts = ["Translate: cat", f"Explain {HOSTILE}"]
    samples = [
        _sample(step, prompts, [f"text of step {step}\nwith two lines", f"{HOSTILE} {step}"], ["chat", ""])
        for step in (30, 60, 90)
    ]
    return Ending(
        {"prompt": "prompt", "completion": "completion"},
        {"loss": 1.21, "perplexity": 3.353},
        {"before": {"loss": 3.4, "perplexity": 29.96}},
        {
            "rows": 20,
            "before_after": {
                "title": "loss of the completions",
                "before": 3.4,
                "after": 1.21,
                "lower": True,
                "unit": "nats a token",
            },
            "forgotten": {
                "title": "loss on what the model used to write",
                "before": 2.91,
                "after": 3.2,
                "lower": True,
                "unit": "nats per token",
            },
            "settings": {"max_new_tokens": 64},
            "notes": [],
        },
        predictions,
        {"perplexity": [8.1, 4.2, 3.4]},
        samples,
    )


def _adaptation() -> Ending:
    predictions = [
        Prediction(
            row,
            f"A text of the domain, number {row}\n{HOSTILE}",
            "",
            "",
            row < 3,
            5.0 - row,
            (),
            {"loss": 5.0 - row},
        )
        for row in range(30)
    ]
    return Ending(
        {"text": "text"},
        {"perplexity": 21.43, "perplexity_before": 35.2},
        {"before": {"perplexity": 35.2}},
        {
            "rows": 30,
            "before_after": {
                "title": "perplexity",
                "before": 35.2,
                "after": 21.43,
                "lower": True,
                "unit": "",
            },
            "settings": {"masked": "15 %"},
            "notes": [],
        },
        predictions,
        {"perplexity": [28.0, 23.0, 21.9]},
    )


def _sample(step: int, prompts: list[str], texts: list[str], references: list[str]) -> dict[str, Any]:
    items = [
        {"prompt": prompt, "text": text, "reference": reference}
        for prompt, text, reference in zip(prompts, texts, references, strict=True)
    ]
    return {"step": step, "epoch": step / 30, "items": items}


ENDINGS = {
    "classification": _classification,
    "multilabel": _multilabel,
    "pair": _pair,
    "score": _score,
    "tagging": _tagging,
    "text2text": _text2text,
    "generation": _generation,
    "adaptation": _adaptation,
}
