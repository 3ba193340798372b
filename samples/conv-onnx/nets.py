"""A plain residual conv net for grey 16x16 images: no normalization anywhere."""

import torch
from torch import nn

CLASSES = 10


class Residual(nn.Module):
    """Two 3x3 convolutions whose result is added to what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.relu2 = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu2(x + self.conv2(self.relu1(self.conv1(x))))


class ConvNet(nn.Module):
    """Stem, block, halving convolution, block, average over the image, linear classifier."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, padding=1)
        self.stem_relu = nn.ReLU()
        self.block1 = Residual(channels)
        self.down = nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1)
        self.down_relu = nn.ReLU()
        self.block2 = Residual(2 * channels)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(2 * channels, CLASSES)

    def forward(self, image: torch.Tensor) -> torch.Tensor:  # (samples, 1, 16, 16) → (samples, 10)
        x = self.block1(self.stem_relu(self.stem(image)))
        x = self.block2(self.down_relu(self.down(x)))
        return self.fc(self.pool(x).flatten(1))


def build(channels: int = 12) -> nn.Module:
    """The untrained network."""
    return ConvNet(channels)
