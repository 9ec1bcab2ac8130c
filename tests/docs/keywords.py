"""A module as a user would have it: keyword spotting on spectrograms of 49 frames by 10 coefficients."""

from __future__ import annotations

from torch import Tensor, nn


def separable(channels: int) -> nn.Sequential:
    """A depthwise and a pointwise convolution, each with its norm."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


class Keywords(nn.Module):
    """Depthwise-separable blocks between a stem and a classifier."""

    def __init__(self, width: int = 16, depth: int = 3, classes: int = 12) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, width, (10, 4), stride=2, padding=(5, 1), bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.blocks = nn.Sequential(*(separable(width) for _ in range(depth)))
        self.classifier = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 1, 49, 10) → (batch, classes)."""
        return self.classifier(self.blocks(self.stem(x)).mean((2, 3)))
