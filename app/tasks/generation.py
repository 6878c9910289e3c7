"""Generation: a decoder learns to write on, from prompts with their completions or from texts alone."""

from typing import Any

from app.core.errors import Problem
from app.core.spec import RunSpec
from app.models.info import ModelInfo
from app.tasks.base import Metric, Role, Task
from app.tasks.examples import Examples

NEW_TOKENS = 64


def new_tokens(spec: RunSpec) -> int:
    """How many tokens it writes at most."""
    return spec.max_new_tokens or NEW_TOKENS


class Generation(Task):
    name = "generation"
    title = "Text generation"
    about = "Completions of prompts, or texts in the manner of yours."
    torch = "generation:Generation"
    needs = "generation"
    own_head = False
    inputs = (
        (Role("prompt"), Role("completion", hint="what the model has to write: only this is learned")),
        (Role("text", hint="learned from its first word to its last"),),
    )
    architectures = ("decoder",)
    judged_by = (
        Metric("loss", "loss per token", lower=True, top=None),
        Metric("perplexity", "perplexity", lower=True, top=None),
    )
    primary = "loss"
    curves = (Metric("perplexity", "perplexity", lower=True, top=None),)
    options = ("max_new_tokens", "replay")
    baselines = (("before", "the model before fine-tuning"),)
    pipeline = "text-generation"

    def steps_known(self, spec: RunSpec) -> bool:
        return False

    def defaults(self, spec: RunSpec, model: ModelInfo) -> dict[str, Any]:
        """A model of few positions writes half of what it can read."""
        limit = model.max_length
        if spec.max_new_tokens is not None or limit is None or limit // 2 >= NEW_TOKENS:
            return {}
        return {"max_new_tokens": max(1, limit // 2)}

    def check(self, examples: Examples, spec: RunSpec) -> list[Problem]:
        return []

    def check_model(self, spec: RunSpec, model: ModelInfo) -> list[Problem]:
        limit = model.max_length
        if limit is None or spec.max_new_tokens is None or spec.max_new_tokens < limit:
            return []
        message = (
            f"is {spec.max_new_tokens:,}, but prompt and completion together may have {limit:,} tokens with "
            f"{spec.model}; choose at most {limit // 2:,}"
        )
        return [{"where": "max_new_tokens", "message": message}]

    def input_roles(self, spec: RunSpec) -> tuple[Role, ...]:
        return self.roles(spec.columns)[:1]

    def goal(self, labels: list[str]) -> str:
        return "to write text"

    def usage(self, spec: RunSpec, folder: str) -> str:
        lines = [
            "from transformers import pipeline",
            "",
            f'write = pipeline("text-generation", "{folder}")',
        ]
        if paired(spec):
            lines += [
                'prompt = "A prompt."',
                "# As in the training: a message where the model has a chat template, else a line break after the prompt",
                "# (unless white space ends it already).",
                "if write.tokenizer.chat_template:",
                '    prompt = [{"role": "user", "content": prompt}]',
                "elif not prompt[-1:].isspace():",
                '    prompt += "\\n"',
            ]
        else:
            lines += ['prompt = "The beginning of a text"']
        lines += [
            f"answer = write(prompt, max_new_tokens={new_tokens(spec)}, do_sample=False, return_full_text=False)",
            'print(answer[0]["generated_text"])',
        ]
        return "\n".join(lines) + "\n"

    def output_cells(self, output: dict[str, Any]) -> dict[str, Any]:
        return {"text": output["text"]}


def paired(spec: RunSpec) -> bool:
    """Whether a run learns completions of prompts, not texts alone."""
    return "prompt" in spec.columns


def opened(prompt: str) -> str:
    """A prompt as a model without a chat template reads it: a line break tells where it ends, unless it ends with
    white space itself."""
    return prompt if prompt[-1:].isspace() else f"{prompt}\n"
