"""Adaptation: a model goes on with its pre-training, on unlabelled text of the domain; a base for later runs."""

from typing import Any

from app.core.errors import Problem
from app.core.spec import OPTIONS, RunSpec
from app.models.families import is_decoder
from app.models.info import ModelInfo
from app.tasks.base import Metric, Role, Task
from app.tasks.examples import Examples


class Adaptation(Task):
    name = "adaptation"
    title = "Domain adaptation"
    about = "Unlabelled text makes a model at home in your domain; then fine-tune it with few labels."
    torch = "adaptation:Adaptation"
    needs = "adaptation"
    own_head = False
    inputs = ((Role("text", hint="unlabelled"),),)
    judged_by = (
        Metric("perplexity", "perplexity", lower=True, top=None),
        Metric("perplexity_before", "perplexity before", lower=True, top=None),
    )
    primary = "loss"
    curves = (Metric("perplexity", "perplexity", lower=True, top=None),)
    options = ("whole_word_masking", "mask_probability")
    baselines = (("before", "the model before the adaptation"),)
    pipeline = "fill-mask"
    predicts = False

    def steps_known(self, spec: RunSpec) -> bool:
        return False

    def check(self, examples: Examples, spec: RunSpec) -> list[Problem]:
        # A token is a byte at least: with fewer bytes there can't be a block. The trainer counts tokens.
        size = sum(len(text.encode()) for text in examples.part("train").texts)
        if spec.max_length is None or size >= spec.max_length:
            return []
        return [{"where": "max_length", "message": too_little(size, "bytes", spec.max_length)}]

    def check_model(self, spec: RunSpec, model: ModelInfo) -> list[Problem]:
        if not is_decoder(model.family):
            return []
        return [
            {
                "where": name,
                "message": f"means nothing for {spec.model}, which predicts the next token; leave it out",
            }
            for name in OPTIONS
            if name in self.options and getattr(spec, name) != RunSpec.model_fields[name].default
        ]

    def goal(self, labels: list[str]) -> str:
        return "on unlabelled text of a domain, as in its pre-training"

    def usage(self, spec: RunSpec, folder: str) -> str:
        return (
            "from transformers import AutoModel, AutoTokenizer\n\n"
            "# A base for fine-tuning: any AutoModelFor… class takes the folder. AutoModelForMaskedLM (a BERT and its like)\n"
            "# or AutoModelForCausalLM (a GPT and its like) brings the head that the text was predicted with.\n"
            f'tokenizer = AutoTokenizer.from_pretrained("{folder}")\n'
            f'model = AutoModel.from_pretrained("{folder}")\n'
            f'inputs = tokenizer("A text.", return_tensors="pt", truncation=True, max_length={spec.max_length})\n'
            "print(model(**inputs).last_hidden_state.shape)\n"
        )

    def pipeline_of(self, spec: RunSpec, family: str) -> str:
        return "text-generation" if is_decoder(family) else self.pipeline

    def card_usage(self, spec: RunSpec, folder: str, family: str) -> str:
        base = "\n# A base for fine-tuning: any AutoModelFor… class takes the folder.\n"
        if is_decoder(family):
            return (
                "from transformers import pipeline\n\n"
                f'write = pipeline("text-generation", "{folder}")\n'
                'answer = write("The beginning of a text", max_new_tokens=64, do_sample=False, return_full_text=False)\n'
                'print(answer[0]["generated_text"])\n' + base
            )
        return (
            "from transformers import pipeline\n\n"
            f'fill = pipeline("fill-mask", "{folder}")\n'
            'print(fill(f"A text with one {fill.tokenizer.mask_token} that is hidden."))\n' + base
        )

    def output_cells(self, output: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError("an adapted model answers nothing")


def too_little(size: int, unit: str, block: int) -> str:
    """`size` in `unit` are not enough for a block of `block` tokens."""
    return (
        f"the training rows have only {size:,} {unit}, which don't fill one block of {block:,} tokens; add text, or choose a "
        "smaller max_length"
    )
