"""Files beside a model folder with which sentence-transformers reads it too: tokens ▸ their mean ▸ a linear layer.

    SentenceTransformer(FOLDER).encode(texts)  →  the logits of the head on the mean of the tokens

The names are those that sentence-transformers has read since version 2.
"""

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

POOLING, DENSE = "1_Pooling", "2_Dense"


def write(folder: Path, layer: nn.Linear, max_length: int | None) -> None:
    """Into `folder`, which holds the model and its tokenizer. `layer`: reads the mean of a text's tokens."""
    steps = [("Transformer", ""), ("Pooling", POOLING), ("Dense", DENSE)]
    _json(
        folder / "modules.json",
        [
            {
                "idx": place,
                "name": str(place),
                "path": path,
                "type": f"sentence_transformers.models.{kind}",
            }
            for place, (kind, path) in enumerate(steps)
        ],
    )
    _json(folder / "config_sentence_transformers.json", {"prompts": {}, "default_prompt_name": None})
    _json(folder / "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False})
    pooling: dict[str, Any] = {
        "word_embedding_dimension": layer.in_features,
        "pooling_mode_mean_tokens": True,
    }
    for other in ("cls_token", "max_tokens", "mean_sqrt_len_tokens"):
        pooling[f"pooling_mode_{other}"] = False
    _json(folder / POOLING / "config.json", pooling)
    _json(
        folder / DENSE / "config.json",
        {
            "in_features": layer.in_features,
            "out_features": layer.out_features,
            "bias": layer.bias is not None,
            "activation_function": "torch.nn.modules.linear.Identity",
        },
    )
    weights = {f"linear.{name}": tensor.detach().contiguous() for name, tensor in layer.named_parameters()}
    save_file(weights, folder / DENSE / "model.safetensors")


def _json(path: Path, value: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
