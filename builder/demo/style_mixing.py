"""Style mixing inside the network (MixStyle, Zhou et al. 2021): channel statistics are swapped between pictures."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

PROBABILITY = 0.5  # of a batch to be mixed at one layer
BETA = 0.1  # Beta(BETA, BETA): mostly near 0 or 1
EPSILON = 1e-5


class StyleMixing:
    """Hooks on the outputs of some layers, active while these are in training mode, until `remove`."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        self._handles: list[RemovableHandle] = [layer.register_forward_hook(_mix) for layer in layers]

    def remove(self) -> None:
        """Take the hooks off."""
        for handle in self._handles:
            handle.remove()


def _mix(layer: nn.Module, _inputs: tuple[Tensor, ...], x: Tensor) -> Tensor | None:
    if not layer.training or torch.rand(()) > PROBABILITY:
        return None
    return mix(x)


def mix(x: Tensor) -> Tensor:
    """Give each picture's features [n, c, h, w] a blend of its own channel means and spreads and another's."""
    n = len(x)
    with torch.no_grad():
        spread, mean = torch.std_mean(x.float(), dim=(2, 3), keepdim=True)
        spread = spread + EPSILON
        own = torch.distributions.Beta(BETA, BETA).sample((n, 1, 1, 1))  # type: ignore[no-untyped-call]
        other = torch.randperm(n)
        factor = (own * spread + (1 - own) * spread[other]) / spread
        shift = own * mean + (1 - own) * mean[other] - factor * mean
    return x * factor.to(x.dtype) + shift.to(x.dtype)
