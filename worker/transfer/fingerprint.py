"""What the bits of a frozen part's output depend on, but for the texts: the weights and the code that computes with them."""

import hashlib
import json
from collections.abc import Container
from typing import Any

import torch
import transformers


def fingerprint(model: Any, names: Container[str], device: torch.device) -> dict[str, Any]:
    """JSON, equal only where the parameters and buffers in `names`, the configuration (but for the names of a head's
    outputs), the machine and the libraries are the same."""
    digest = hashlib.sha256()
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if name in names:
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    config = model.config.to_dict()
    for head in ("id2label", "label2id", "problem_type", "architectures", "_name_or_path"):
        config.pop(head, None)
    return {
        "weights": digest.hexdigest(),
        "config": hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest(),
        "attention": str(getattr(model.config, "_attn_implementation", None)),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "libraries": [torch.__version__, transformers.__version__],
    }
