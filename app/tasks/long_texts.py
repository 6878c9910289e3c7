"""Texts longer than a model reads: Python lines for the model card that treat them as the training did, and sentences."""

from app.core.spec import RunSpec

_LOAD = """\
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{folder}")
model = AutoModelForSequenceClassification.from_pretrained("{folder}").eval()


def logits(text):
"""
_END = """\
    encoded = tokenizer(text, truncation=True, max_length={length}, return_tensors="pt")
"""
_HEAD_TAIL = """\
    encoded = tokenizer(text, return_tensors="pt", verbose=False)
    if encoded["input_ids"].shape[1] > {length}:  # the beginning and the end of a long text, as in training
        encoded = {{name: torch.cat([row[:, :{head}], row[:, -{tail}:]], 1) for name, row in encoded.items()}}
"""
_WINDOWS = """\
    encoded = tokenizer(text, truncation=True, max_length={length}, stride={overlap}, padding=True,
                        return_overflowing_tokens=True, return_tensors="pt")
    encoded.pop("overflow_to_sample_mapping")  # a long text in overlapping windows, as in training
"""
_RUN = """\
    with torch.inference_mode():
        return model(**encoded).logits.mean(0)


"""
_OTHERWISE = """
# A pipeline("text-classification") loads this folder too, but cuts a long text at its end: for such texts
# its answers are not those that were measured here.
"""


def head_and_tail(max_length: int) -> tuple[int, int]:
    """Tokens kept of the beginning and of the end of a longer text, special tokens included: a quarter is head.

    Sun et al. 2019, "How to Fine-Tune BERT for Text Classification?", section 5.3.1: 128 + 382 of 510 did best.
    """
    head = max_length // 4
    return head, max_length - head


def overlap(max_length: int) -> int:
    """Tokens that a window shares with the one before: a quarter, so that what one cuts apart the other has whole."""
    return max_length // 4


def logits_usage(spec: RunSpec, folder: str, then: str) -> str:
    """Lines that define `logits(text)` in plain transformers, long texts treated as in training; then the lines `then`."""
    assert spec.max_length is not None
    head, tail = head_and_tail(spec.max_length)
    how = {"end": _END, "head_tail": _HEAD_TAIL, "windows": _WINDOWS}[spec.truncation]
    lines = (_LOAD + how).format(
        folder=folder, length=spec.max_length, head=head, tail=tail, overlap=overlap(spec.max_length)
    )
    return lines + _RUN + then + ("" if spec.truncation == "end" else _OTHERWISE)


def length_note(spec: RunSpec, long: int, texts: int) -> str | None:
    """A sentence for the results about the `long` ones of all `texts`; None if there are none."""
    if not long:
        return None
    read = {
        "end": "the model reads only their beginning",
        "head_tail": "the model reads only their beginning and their end",
        "windows": "the model reads them in overlapping windows and averages the logits",
    }[spec.truncation]
    what = "is longer" if long == 1 else "are longer"
    return f"{long:,} of {texts:,} texts {what} than {spec.max_length:,} tokens; {read}."
