"""lora: low-rank updates beside the frozen matrices of the blocks learn, and the head in full (Hu et al. 2022), through peft."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import nn

from app.core.errors import Invalid
from app.core.strategies import Lora
from worker.optim import Rule, exactly, parameter_groups
from worker.transfer.blocks import Stack, stack_of
from worker.transfer.plan import Plan

if TYPE_CHECKING:
    from peft import LoraModel

ADAPTER = "default"  # peft's name of the only one
PREFIX = "base_model.model."  # before each name in a file of peft's


def plan(model: Any, options: Lora, weight_decay: float) -> Plan:
    """Puts adapters into `model`: its class stays, a matrix `x` becomes `x.base_layer` with `x.lora_A` and `x.lora_B` beside.

    The blocks keep their dropout, frozen as their matrices are: what learns stands behind it. A matrix of the vocabulary
    is no head: a language model's stays as it is. What is drawn comes from torch's generator. Raises Invalid.
    """
    from peft import LoraConfig, LoraModel  # it takes seconds to import
    from transformers.pytorch_utils import Conv1D

    stack = stack_of(model)
    targets = matrices(stack, options.targets)
    heads = head_modules(model, stack)
    config = LoraConfig(
        r=options.rank,
        lora_alpha=2 * options.rank if options.alpha is None else options.alpha,  # type: ignore[arg-type]
        lora_dropout=options.dropout,
        target_modules=list(targets),
        fan_in_fan_out=all(
            isinstance(module, Conv1D) for module in targets.values()
        ),  # GPT-2's are transposed
    )
    head = [
        name for name, _ in model.named_parameters() if name.startswith(tuple(f"{one}." for one in heads))
    ]
    tuner = LoraModel(model, config, ADAPTER)
    adapter = [name for name, _ in model.named_parameters() if ".lora_" in name]
    learning = {*adapter, *head}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in learning)
    rules = [Rule(exactly(names)) for names in (head, adapter) if names]
    merging = _Merging(model, tuner, heads)
    groups = parameter_groups(model, rules, weight_decay)
    return Plan(groups, finish=merging.finish, beside=merging.beside)


def matrices(stack: Stack, wanted: str | list[str]) -> dict[str, nn.Module]:
    """The linear layers inside the blocks, by full name; of a list those that end with one of its names.

    Raises Invalid, with the names that there are, for one that names none.
    """
    from transformers.pytorch_utils import Conv1D

    found: dict[str, nn.Module] = {
        f"{path}.{name}": module
        for path, block in stack.blocks
        for name, module in block.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
    }
    if isinstance(wanted, str):
        return found
    unknown = [one for one in wanted if not any(_ends(name, one) for name in found)]
    if unknown:
        there = ", ".join(dict.fromkeys(name.rpartition(".")[2] for name in found))
        raise Invalid.from_problems(
            "The run can't start",
            [
                {"where": "strategy.targets", "message": f"no block has a matrix {one!r}; there are {there}"}
                for one in unknown
            ],
            kind="training",
        )
    return {name: module for name, module in found.items() if any(_ends(name, one) for one in wanted)}


def head_modules(model: Any, stack: Stack) -> list[str]:
    """The outermost modules all of whose parameters are the head's: what peft keeps whole beside the adapter."""
    output = model.get_output_embeddings()
    vocabulary = None if output is None else output.weight
    head = {id(model.get_parameter(name)) for name in stack.of(stack.top)} - {id(vocabulary)}
    found: list[str] = []
    for path, module in model.named_modules():
        parameters = [id(parameter) for parameter in module.parameters()]
        inside = any(path.startswith(f"{above}.") for above in found)
        if path and parameters and not inside and head.issuperset(parameters):
            found.append(path)
    return found


class _Merging:
    """What becomes of the adapters after the training: added to their matrices, and kept for a file of their own."""

    def __init__(self, model: Any, tuner: "LoraModel", heads: list[str]) -> None:
        self.model, self.tuner, self.heads = model, tuner, heads
        self.adapter: dict[str, torch.Tensor] = {}

    def finish(self) -> None:
        """W + alpha / rank · B A instead of W: the model is a plain one again, and stays it."""
        if self.adapter:
            return
        self.adapter = {
            name.replace(f".{ADAPTER}.", "."): parameter.detach().cpu().clone()
            for name, parameter in self.model.named_parameters()
            if ".lora_" in name
        }
        self.tuner.merge_and_unload()

    def beside(self, folder: Path, base: str) -> None:
        """The adapter with the head as the download has it, as peft's PeftModel.from_pretrained reads them."""
        folder.mkdir(parents=True)
        config: Any = self.tuner.peft_config[ADAPTER]
        config.base_model_name_or_path, config.inference_mode = base, True
        config.modules_to_save = self.heads or None  # only now: in training peft would put copies beside them
        config.save_pretrained(str(folder))
        head = {
            name: tensor.detach().cpu().clone()
            for name, tensor in self.model.state_dict().items()
            if name.startswith(tuple(f"{one}." for one in self.heads))
        }
        tensors = {f"{PREFIX}{name}": tensor for name, tensor in {**self.adapter, **head}.items()}
        save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
        (folder / "README.md").write_text(
            _card(type(self.model).__name__, self.model, base), encoding="utf-8"
        )


def _ends(name: str, end: str) -> bool:
    return name == end or name.endswith(f".{end}")


def _card(kind: str, model: Any, base: str) -> str:
    labels = "" if model.get_output_embeddings() is not None else f", num_labels={model.config.num_labels}"
    return f"""\
The LoRA adapter of a Headstart run on `{base}`, with its head. checkpoint.zip has both merged.

```python
from peft import PeftModel
from transformers import {kind}

base = {kind}.from_pretrained({base!r}{labels})
model = PeftModel.from_pretrained(base, "FOLDER")  # the folder that holds this file
```
"""
