"""The fields of the new-run form beside those of the strategies (app.web.learns)."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Field:
    """A field that can be filled in. Left empty, its default counts; `hint` says what that is about.

    `choices`: (value, words) of a select. `upfront`: stands with the model, not among the settings.
    """

    name: str
    title: str
    hint: str = ""
    example: str = ""
    kind: Literal["number", "text", "select", "check", "language", "slider"] = "number"
    choices: tuple[tuple[str, str], ...] = ()
    upfront: bool = False


MAIN = (
    Field("epochs", "epochs", "times through the training rows"),
    Field("batch_size", "batch size", "rows an optimiser step"),
    Field("learning_rate", "learning rate"),
    Field("max_length", "maximum length", "tokens of a text"),
    Field("seed", "seed", "same seed, same run"),
)
MORE = (
    Field("warmup_ratio", "warm-up", "share of the steps"),
    Field("weight_decay", "weight decay"),
    Field("max_grad_norm", "gradient clip", "largest norm"),
    Field("accumulation", "accumulation", "micro-batches a step"),
    Field("eval_steps", "evaluate every", "steps; empty: after each epoch"),
    Field("early_stopping", "early stopping", "patience in evaluations; empty: off"),
)
# How each field of app.core.spec.OPTIONS is asked for; a task's form has those that it lists.
OPTION_FIELDS = {
    one.name: one
    for one in (
        Field("source_language", "source language", kind="language", upfront=True),
        Field("target_language", "target language", kind="language", upfront=True),
        Field(
            "source_prefix",
            "put before each source",
            "T5 wants to be told what to do; other models want nothing here",
            "translate English to French: ",
            kind="text",
            upfront=True,
        ),
        Field(
            "truncation",
            "texts over the maximum length",
            kind="select",
            choices=(
                ("end", "lose their end"),
                ("head_tail", "lose their middle"),
                ("windows", "lose nothing: read in windows; slower"),
            ),
        ),
        Field(
            "class_weights",
            "class weights",
            kind="select",
            choices=(("", "none: each row counts the same"), ("balanced", "balanced: each class the same")),
        ),
        Field("focal_gamma", "focal loss", "gamma, 2 is usual; empty: off"),
        Field("label_smoothing", "label smoothing", "0 is off, 0.1 is usual"),
        Field("max_target_length", "maximum target length", "tokens; empty: as maximum length"),
        Field("num_beams", "beams", "of the search; 1 is fastest"),
        Field("max_new_tokens", "new tokens", "at most, in a text it writes"),
        Field(
            "replay", "replay", "share of rows that the model writes itself, against forgetting; 0.1 to 0.2"
        ),
        Field("mask_probability", "masked share", "of the tokens"),
        Field("whole_word_masking", "mask whole words", kind="check"),
    )
}


def number(text: str) -> int | float | str:
    """The number that a field's text is; the text itself where it is none, for parse_spec to name."""
    for kind in (int, float):
        try:
            found: int | float = kind(text)
            return found
        except ValueError:
            continue
    return text
