"""Text to text: a source text, the text that a model should write for it. Translation, summarisation."""

import difflib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from app.core.errors import Problem
from app.core.spec import RunSpec
from app.models.info import ModelInfo
from app.tasks.base import Metric, Role, Task, column_of
from app.tasks.examples import Examples

LEAST_ROWS = 10
SHOWN_LANGUAGES = 6


class Text2Text(Task):
    name = "text2text"
    title = "Text to text"
    about = "One text out of another: translation, summaries, rewriting."
    torch = "text2text:Text2Text"
    needs = "text2text"
    own_head = False
    inputs = ((Role("source", "what the model reads"), Role("target", "what it shall write")),)
    architectures = ("seq2seq",)
    judged_by = (Metric("bleu", "BLEU", top=100.0), Metric("chrf", "chrF", top=100.0))
    # Of all validation rows and smooth; BLEU and chrF of the few rows that an evaluation has time to write for jump
    # by more than the models differ.
    primary = "loss"
    curves = (Metric("chrf", "chrF", top=100.0), Metric("bleu", "BLEU", top=100.0))
    options = (
        "label_smoothing",
        "source_language",
        "target_language",
        "source_prefix",
        "max_target_length",
        "num_beams",
        "max_new_tokens",
    )
    baselines = (("before", "the model before fine-tuning"), ("copy", "the source, unchanged"))
    pipeline = "text2text-generation"

    def same(self, spec: RunSpec) -> list[str]:
        """A source in two parts would leak its target, whatever the other target is."""
        return [column_of(spec, "source")]

    def check(self, examples: Examples, spec: RunSpec) -> list[Problem]:
        sources, targets = examples["source"], examples["target"]
        if len(examples) < LEAST_ROWS:
            message = (
                f"only {len(examples)} rows have both a source and a target; at least {LEAST_ROWS} are needed"
            )
            return [{"where": "columns", "message": message}]
        target = column_of(spec, "target")
        if all(one.strip() == other.strip() for one, other in zip(sources, targets, strict=True)):
            message = (
                f"column {target!r} has the same text as {column_of(spec, 'source')!r} in every row, so there is "
                "nothing to learn; choose the column that holds what the model should write"
            )
            return [{"where": "columns.target", "message": message}]
        if len(set(targets)) == 1:
            message = f"every row has the same text in column {target!r}, so there is nothing to learn"
            return [{"where": "columns.target", "message": message}]
        return []

    def check_model(self, spec: RunSpec, model: ModelInfo) -> list[Problem]:
        known = model.languages
        problems: list[Problem] = []
        for role in ("source", "target"):
            language = getattr(spec, f"{role}_language")
            if wrong := _wrong_language(language, role, spec.model, known):
                problems.append({"where": f"{role}_language", "message": wrong})
        limit = model.max_length
        for name, verb in (("max_target_length", "reads"), ("max_new_tokens", "writes")):
            value = getattr(spec, name)
            if limit is not None and value is not None and value > limit:
                message = f"is {value:,}, but {spec.model} {verb} at most {limit:,} tokens; choose {limit:,} or less"
                problems.append({"where": name, "message": message})
        return problems

    def goal(self, labels: list[str]) -> str:
        return "to write a target text for a source text"

    def usage(self, spec: RunSpec, folder: str) -> str:
        languages = ""
        if spec.source_language:
            languages = f', src_lang="{spec.source_language}", tgt_lang="{spec.target_language}"'
        text = f"{prefix(spec)}A text to read.".replace("\\", "\\\\").replace('"', '\\"')
        return (
            "from transformers import AutoModelForSeq2SeqLM, AutoTokenizer\n\n"
            f'tokenizer = AutoTokenizer.from_pretrained("{folder}"{languages})\n'
            f'model = AutoModelForSeq2SeqLM.from_pretrained("{folder}")\n'
            f'inputs = tokenizer(["{text}"], padding=True, truncation=True, max_length={spec.max_length}, return_tensors="pt")\n'
            f"outputs = model.generate(**inputs)  # {spec.num_beams} beams, at most {new_tokens(spec)} tokens: "
            "as in generation_config.json\n"
            "print(tokenizer.batch_decode(outputs, skip_special_tokens=True))\n"
        )

    def pipeline_of(self, spec: RunSpec, family: str) -> str:
        return "translation" if family == "marian" or spec.target_language else self.pipeline

    def input_roles(self, spec: RunSpec) -> tuple[Role, ...]:
        return tuple(role for role in self.roles(spec.columns) if role.name == "source")

    def output_cells(self, output: dict[str, Any]) -> dict[str, Any]:
        return {"predicted": output["text"]}


def new_tokens(spec: RunSpec) -> int:
    """How many tokens of a target it writes at most: as many as it learned from, unless the spec says."""
    return spec.max_new_tokens or spec.max_target_length or spec.max_length or 128


def prefix(spec: RunSpec) -> str:
    """What stands before each source. A space parts it from the source: forms and shells strip the one at its end."""
    given = spec.source_prefix or ""
    return given if not given or given[-1].isspace() else f"{given} "


@dataclass(frozen=True)
class Scores:
    """BLEU and chrF, 0 to 100, and the signatures by which others can compare theirs."""

    bleu: float
    chrf: float
    signatures: dict[str, str]

    @property
    def metrics(self) -> dict[str, float]:
        return {"bleu": self.bleu, "chrf": self.chrf}


def scores(outputs: Sequence[str], references: Sequence[str]) -> Scores:
    """BLEU (Papineni et al. 2002) and chrF2 (Popović 2015) of the corpus, as sacrebleu counts them.

    `outputs` and `references`: n texts each, n ≥ 1. The tokenisation is that of `tokenisation(references)`.
    """
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    # force: it would warn of texts that look tokenised, which is the user's own affair.
    bleu, chrf = BLEU(tokenize=tokenisation(references), force=True), CHRF()
    found = bleu.corpus_score(list(outputs), [list(references)])
    other = chrf.corpus_score(list(outputs), [list(references)])
    signatures = {"bleu": str(bleu.get_signature()), "chrf": str(chrf.get_signature())}
    return Scores(float(found.score), float(other.score), signatures)


def sentence_chrf(outputs: Sequence[str], references: Sequence[str]) -> list[float]:
    """chrF2 of each row, 0 to 100."""
    from sacrebleu.metrics.chrf import CHRF

    chrf = CHRF()
    pairs = zip(outputs, references, strict=True)
    return [float(chrf.sentence_score(output, [reference]).score) for output, reference in pairs]


def tokenisation(references: Iterable[str]) -> str:
    """How sacrebleu shall cut the texts into words for BLEU, by the script that most of their letters are of.

    13a (the WMT's) cuts at spaces and punctuation. Chinese has a tokeniser of its own ("zh"). Japanese and the scripts
    of South East Asia write no spaces either, and what cuts them into words needs a dictionary that isn't here: there
    a word is a character ("char").
    """
    letters: Counter[str] = Counter()
    for text in references:
        letters.update(_script(letter) for letter in text if letter.isalpha())
    if letters["spaced"] * 2 >= letters.total():
        return "13a"
    # Japanese mixes kana with Chinese characters, Chinese has no kana.
    chinese = letters["han"] > letters["unspaced"] and letters["kana"] * 20 < letters["han"]
    return "zh" if chinese else "char"


_UNSPACED = ("THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN", "JAVANESE", "BALINESE")


def _script(letter: str) -> str:
    if letter < "\u0e00":  # Latin, Greek, Cyrillic, Arabic, the scripts of India …: all with spaces
        return "spaced"
    name = unicodedata.name(letter, "")
    if name.startswith("CJK"):
        return "han"
    if name.startswith(("HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA")):
        return "kana"
    return "unspaced" if name.startswith(_UNSPACED) else "spaced"


def _wrong_language(language: str | None, role: str, model: str, known: Sequence[str]) -> str | None:
    """What is wrong with the language chosen for a role; None if nothing."""
    if not known:
        if language is None:
            return None
        return f"is {language!r}, but {model} has no languages to choose from; leave it out"
    if language in known:
        return None
    some = ", ".join(known[:SHOWN_LANGUAGES]) + (" …" if len(known) > SHOWN_LANGUAGES else "")
    if language is None:
        return f"is required: {model} writes many languages; choose the {role}'s of its {len(known)} ({some})"
    near = _nearest(language, known)
    meant = f"; did you mean {near!r}?" if near else "."
    return f"is {language!r}, which {model} does not know{meant} Its {len(known)} languages: {some}"


def _nearest(typed: str, known: Sequence[str]) -> str | None:
    """The code that was meant: "fr", "fr-FR" or "french" for fr_XX, "fr" for fra_Latn; else one that is written alike."""
    plain = {code.lower(): code for code in known}
    asked = typed.strip().lower().replace("-", "_")
    short = asked.split("_")[0]
    for code in plain:
        if short and (code.startswith(short) or short.startswith(code.split("_")[0])):
            return plain[code]
    near = difflib.get_close_matches(asked, plain, n=1, cutoff=0.6)
    return plain[near[0]] if near else None
