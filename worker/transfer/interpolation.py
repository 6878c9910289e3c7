"""WiSE-FT: models on the line from the head-only one to the fine-tuned one keep more of what the pre-trained model knew
(Wortsman et al. 2022). Each tenth of the line is judged on validation; the held-out figures choose nothing."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from app.core.interpolation import ALPHAS, FINE_TUNED, HEAD_ONLY, OUTCOME, point
from app.tasks import heldout
from worker.tasks.base import Outcome, Part, TorchTask
from worker.transfer.plan import Plan

START, END = "start.safetensors", "end.safetensors"  # what learns, before and after, until the run has ended


class Line:
    """The line of one run. Make it when the head has been fitted and nothing else has learned yet."""

    def __init__(self, model: Any, plan: Plan, folder: Path) -> None:
        """`folder`: what app.core.interpolation describes is made there; an older one is replaced."""
        self.model, self.folder = model, folder
        self.names = [name for group in plan.groups for name in group.names]
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._keep(START)

    def measure(
        self,
        task: TorchTask,
        tokenizer: Any,
        parts: tuple[Part, Part, Part],
        primary: str,
        lower: bool,
        more: Callable[[], dict[str, Any]],
    ) -> Outcome:
        """Judges and measures each point (train, validation, test) and writes what its download would have; the outcome is
        that of the fine-tuned model, which is in memory again afterwards. `more()`: further results of the model as it is.

        Its results get "interpolation": {"alphas", "metric", "lower", "validation", "test", "chosen"}: the best on validation,
        of equal ones the nearest to the fine-tuned one.
        """
        train, validation, test = parts
        self._keep(END)
        judged: list[float] = []
        measured: list[float] = []
        outcome: Outcome | None = None
        for alpha in ALPHAS:
            task.tell(0, 0)
            self._put(alpha)
            judged.append(task.judge(self.model, validation)[primary])
            outcome = task.measure(self.model, train, validation, test)
            measured.append(outcome.metrics[primary])
            self._write(alpha, outcome, more(), task, tokenizer)
        assert outcome is not None
        self._put(1.0)
        best = max(
            range(len(ALPHAS)), key=lambda place: (-judged[place] if lower else judged[place], ALPHAS[place])
        )
        outcome.add(
            {
                "interpolation": {
                    "alphas": list(ALPHAS),
                    "metric": primary,
                    "lower": lower,
                    "validation": judged,
                    "test": measured,
                    "chosen": ALPHAS[best],
                    "download": 1.0,
                }
            }
        )
        return outcome

    def publish(self, model: Path, card: Callable[[dict[str, float], list[str]], str], target: Path) -> None:
        """Writes each point's card, and moves all to `target`. `model`: the download's folder, the fine-tuned model's."""
        for alpha in ALPHAS:
            folder = self.folder / point(alpha)
            metrics = json.loads((folder / OUTCOME).read_text(encoding="utf-8"))["metrics"]
            (folder / "README.md").write_text(card(metrics, said(alpha)), encoding="utf-8")
        (self.folder / FINE_TUNED).mkdir()
        for path in model.glob("*.safetensors*"):
            (self.folder / FINE_TUNED / path.name).hardlink_to(path)  # the download is only ever replaced
        for name in (START, END):
            (self.folder / name).unlink()
        shutil.rmtree(target, ignore_errors=True)
        self.folder.rename(target)

    def discard(self) -> None:
        """Of a run that ends before it was measured."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _keep(self, name: str) -> None:
        parameters = dict(self.model.named_parameters())
        save_file(
            {one: parameters[one].detach().cpu().contiguous() for one in self.names}, self.folder / name
        )

    def _put(self, alpha: float) -> None:
        """The point `alpha` of the line into the model."""
        parameters = dict(self.model.named_parameters())
        with (
            torch.no_grad(),
            safe_open(self.folder / START, "pt") as start,
            safe_open(self.folder / END, "pt") as end,
        ):
            for name in self.names:
                old, new = start.get_tensor(name), end.get_tensor(name)
                parameters[name].copy_(new if alpha == 1 else old + alpha * (new - old))

    def _write(
        self, alpha: float, outcome: Outcome, more: dict[str, Any], task: TorchTask, tokenizer: Any
    ) -> None:
        folder = self.folder / point(alpha)
        folder.mkdir()
        results = {**outcome.results, **more}
        (folder / OUTCOME).write_text(
            json.dumps({"metrics": outcome.metrics, "results": results}), encoding="utf-8"
        )
        heldout.write(folder / heldout.FILE, outcome.predictions)
        task.finish(self.model, tokenizer)  # the next point is put over what it does to weights
        if alpha == 0:
            self.model.save_pretrained(self.folder / HEAD_ONLY, safe_serialization=True)
            for path in (self.folder / HEAD_ONLY).iterdir():
                if ".safetensors" not in path.name:
                    path.unlink()
        self.model.config.save_pretrained(folder)


def said(alpha: float) -> list[str]:
    """What the card says of a point."""
    if alpha == 1:
        return []
    return [
        f"They are {alpha:g} of the way from the model whose head alone was fitted to the fine-tuned one (WiSE-FT, Wortsman et al. 2022).",
    ]
