"""A linear layer fitted to its optimum: a smooth loss with an L2 penalty, minimised by L-BFGS in float64.

    minimise over (W, b):  sum(loss(z W' + b)) / weight  +  |W|² / (2 C weight)

z are the features, standardised over the training rows; C is scikit-learn's. Multinomial logistic regression, one logistic
regression a label and ridge regression are all this, with their losses, and convex.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

# The strengths that are tried, each from the optimum of the one before: strong penalties have little to find and are quick.
STRENGTHS = tuple(10 ** (exponent / 2) for exponent in range(-8, 5))
MOST = 300  # iterations for one strength; it is rarely a tenth of that
SMALL = 1e-6  # a gradient of which no entry is larger is none (the loss is in nats an example)
FLAT = 1e-10  # what lowers the loss by less is not worth an iteration
WIDE = 2**31  # bytes of features in float64 from which they are widened piece by piece
PIECE = 2**16  # rows


@dataclass(frozen=True)
class Layer:
    """float64. `weight`: (outputs, features); `bias`: (outputs,), None for a layer without one."""

    weight: Tensor
    bias: Tensor | None

    def logits(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """As the model computes them, in float32."""
        bias = None if self.bias is None else self.bias.float()
        found: npt.NDArray[np.float32] = torch.nn.functional.linear(
            torch.from_numpy(features), self.weight.float(), bias
        ).numpy()
        return found


@dataclass(frozen=True)
class Iteration:
    loss: float  # with the penalty
    gradient: float  # its largest entry


class Fit:
    """The problem for one set of features; `solve` for one C after the other goes on from where it is."""

    def __init__(
        self,
        features: npt.NDArray[np.float32],
        each: Callable[[Tensor, Tensor], Tensor],
        truth: Tensor,
        weight: float,
        outputs: int,
        *,
        shares: Tensor | None = None,
        intercept: bool = True,
        alike: bool = False,
    ) -> None:
        """`features`: (rows, d). `each(logits, truth)`: the loss of each row. `weight`: what their sum is divided by.
        `shares`: (rows,), what each row's loss is multiplied by. `alike`: all features have one scale, the root of their mean
        square, so that none gets a large weight for varying little. Raises ValueError for features that are no numbers."""
        if not np.isfinite(features).all():
            raise ValueError("features that are no finite numbers")
        raw = torch.from_numpy(features)
        dimension = raw.shape[1]
        pieces = _pieces(raw)
        mean = torch.stack([piece.double().sum(0) for piece in pieces]).sum(0) / len(raw)
        around = mean if intercept else torch.zeros_like(mean)
        squares = torch.stack([(piece.double() - around).square().sum(0) for piece in pieces]).sum(0)
        spread = (squares / len(raw)).sqrt()
        # What varies by nothing but rounding is a constant, and the bias has it already.
        constant = spread <= 1e-6 * mean.abs().clamp_min(1e-30)
        if alike:
            about_zero = spread.square() + (mean.square() if intercept else 0.0)
            spread = about_zero.mean().sqrt().expand(dimension)
        self.scale = torch.where(constant, 1.0, spread)
        self.centre = around
        self.intercept, self.outputs, self.weight, self.each = intercept, outputs, weight, each
        kept = torch.float64 if raw.numel() * 8 <= WIDE else torch.float32
        shared = [None] * -(-len(raw) // PIECE) if shares is None else _pieces(shares.double())
        self.pieces = [
            (
                torch.where(constant, 0.0, (piece.double() - self.centre) / self.scale).to(kept),
                truths,
                share,
            )
            for piece, truths, share in zip(pieces, _pieces(truth), shared, strict=True)
        ]
        self.point = torch.zeros(outputs * (dimension + intercept), dtype=torch.float64)

    def layer(self) -> Layer:
        """The solution for the features as they were given."""
        weight, bias = self._parts(self.point)
        weight = weight / self.scale
        return Layer(weight, None if bias is None else bias - weight @ self.centre)

    def solve(self, strength: float) -> Iterator[Iteration]:
        """Goes to the optimum for C = `strength`, an iteration of L-BFGS at a time (Liu & Nocedal 1989; strong Wolfe).

        The same on each machine with the same number of threads. Stops where the loss is no number; the point is then the
        last good one.
        """
        point = self.point.clone().requires_grad_()
        optimizer = torch.optim.LBFGS(
            [point],
            max_iter=1,
            max_eval=50,  # left alone it would be 1, and the line search give up after its first try
            history_size=20,
            tolerance_grad=0.0,
            tolerance_change=1e-14,
            line_search_fn="strong_wolfe",
        )
        known: tuple[Tensor, Tensor, Tensor] | None = None

        def loss() -> Tensor:
            # A step begins at the point where the last one ended, and asks for its loss again.
            nonlocal known
            if known is None or not torch.equal(known[0], point.detach()):
                value = self._loss(point, strength)
                assert point.grad is not None
                known = point.detach().clone(), value, point.grad.clone()
            point.grad = known[2].clone()
            return known[1]

        before = math.inf
        for _ in range(MOST):
            optimizer.step(loss)  # type: ignore[no-untyped-call]
            now = loss()
            value, gradient = float(now), float(known[2].abs().max()) if known else math.nan
            if not math.isfinite(value) or not math.isfinite(gradient):
                return
            self.point = point.detach().clone()
            yield Iteration(value, gradient)
            if gradient <= SMALL or before - value <= FLAT:
                return
            before = value

    def _loss(self, point: Tensor, strength: float) -> Tensor:
        """The loss at `point`, whose gradient is put into `point.grad`."""
        point.grad = None
        weight, _ = self._parts(point)
        total = weight.square().sum() / (2 * strength * self.weight)
        total.backward()  # type: ignore[no-untyped-call]
        total = total.detach()
        for features, truth, share in self.pieces:
            weight, bias = self._parts(point)
            logits = torch.nn.functional.linear(features.double(), weight, bias)
            losses = self.each(logits, truth)
            part = (losses if share is None else losses * share).sum() / self.weight
            part.backward()  # type: ignore[no-untyped-call]
            total = total + part.detach()
        return total

    def _parts(self, point: Tensor) -> tuple[Tensor, Tensor | None]:
        columns = point.view(self.outputs, -1)
        return (columns[:, :-1], columns[:, -1]) if self.intercept else (columns, None)


def _pieces(tensor: Tensor) -> list[Tensor]:
    return [tensor[at : at + PIECE] for at in range(0, len(tensor), PIECE)]
