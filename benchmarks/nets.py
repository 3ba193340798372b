"""The networks that the benchmarks run, with random weights: what is measured doesn't depend on them."""

import torch
from torch import nn
from torch.nn import functional as F


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with BatchNorm, added to what came in."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.relu2 = nn.ReLU()
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        branch = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(x)))))
        return self.relu2(branch + self.shortcut(x))


class Bottleneck(nn.Module):
    """A 3x3 convolution between two of 1x1, with BatchNorm, added to what came in."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(outputs)
        self.relu3 = nn.ReLU()
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        branch = self.relu1(self.norm1(self.conv1(x)))
        branch = self.norm3(self.conv3(self.relu2(self.norm2(self.conv2(branch)))))
        return self.relu3(branch + self.shortcut(x))


def _resnet(stages: list[nn.Module], outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        *stages,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(outputs, 1000),
    )


def resnet18() -> nn.Module:
    """ResNet-18 of He et al. (2015) for images of 224x224: 11.7 million weights."""
    stages: list[nn.Module] = []
    inputs = 64
    for outputs, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        stages += [ResidualBlock(inputs, outputs, stride), ResidualBlock(outputs, outputs, 1)]
        inputs = outputs
    return _resnet(stages, inputs)


def resnet50() -> nn.Module:
    """ResNet-50 of He et al. (2015) for images of 224x224: 25.6 million weights."""
    stages: list[nn.Module] = []
    inputs = 64
    for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(blocks):
            stages.append(Bottleneck(inputs, width, stride if block == 0 else 1))
            inputs = 4 * width
    return _resnet(stages, inputs)


class TransformerBlock(nn.Module):
    """Pre-norm self-attention and feedforward, each added to the residual stream."""

    def __init__(self, width: int, heads: int, *, causal: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.causal = causal
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.gelu = nn.GELU()
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        samples, length, width = x.shape
        parts = self.qkv(self.norm1(x)).view(samples, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        x = x + self.out(mixed.transpose(1, 2).reshape(samples, length, width))
        return x + self.down(self.gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    """An encoder of the size of BERT-base."""

    def __init__(self, layers: int, width: int, heads: int, words: int, length: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.positions = nn.Embedding(length, width)
        self.blocks = nn.ModuleList(TransformerBlock(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.words(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


def transformer12() -> nn.Module:
    """12 layers of width 768 with 12 heads, for up to 128 tokens out of 5,000: 89 million weights."""
    return Transformer(layers=12, width=768, heads=12, words=5000, length=128)


class VisionTransformer(nn.Module):
    """Patches of 16x16 as tokens behind a class token."""

    def __init__(self, layers: int, width: int, heads: int, size: int, classes: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 16, 16)
        self.first = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(0.02 * torch.randn(1, (size // 16) ** 2 + 1, width))
        self.blocks = nn.Sequential(*(TransformerBlock(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.first.expand(len(tokens), -1, -1), tokens], 1) + self.positions
        return self.head(self.norm(self.blocks(tokens))[:, 0])


def vit_s() -> nn.Module:
    """ViT-S/16 (Dosovitskiy et al. 2020, Touvron et al. 2020) for images of 224x224: 22.1 million weights."""
    return VisionTransformer(layers=12, width=384, heads=6, size=224, classes=1000)


class LanguageModel(nn.Module):
    """Causal blocks between an embedding and a head that share their weights."""

    def __init__(self, layers: int, width: int, heads: int, words: int, length: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.positions = nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(TransformerBlock(width, heads, causal=True) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, words, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
        self.head.weight = self.words.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.words(tokens) + self.positions.weight[: tokens.shape[1]]
        return self.head(self.norm(self.blocks(x)))


def gpt2_small(layers: int = 12, words: int = 50257) -> nn.Module:
    """The shape of GPT-2 small (Radford et al. 2019): 124 million weights, for up to 1,024 tokens."""
    return LanguageModel(layers=layers, width=768, heads=12, words=words, length=1024)


class Recurrent(nn.Module):
    """An LSTM of two layers over sequences, and a linear layer on its last step."""

    def __init__(self, inputs: int, width: int, classes: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, width, num_layers=2, batch_first=True)
        self.head = nn.Linear(width, classes)

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(sequences)[0][:, -1])


def lstm() -> nn.Module:
    """Two layers of 512 on sequences of 128 features: 3.4 million weights."""
    return Recurrent(inputs=128, width=512, classes=10)


def small_cnn() -> nn.Module:
    """Two convolutions for images of 16x16: what the benchmarks run in their quick mode."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2048, 4),
    )


def ladder(layers: int = 25, channels: int = 16, scale: int = 4) -> nn.Module:
    """Small input, many large activations: what is kept of them, if anything is, shows in the memory used.

    Images of 1x8x8 are enlarged by ``scale``; at 4 and 16 channels each site holds 64 KiB per sample. A layer has
    four sites.
    """
    steps: list[nn.Module] = [nn.Upsample(scale_factor=scale), nn.Conv2d(1, channels, 3, padding=1), nn.ReLU()]
    for _ in range(layers - 1):
        steps += [nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU()]
    network = nn.Sequential(*steps, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return network


def accordion(channels: int = 64, layers: int = 6) -> nn.Module:
    """Linear layers by turns to ``channels`` and back to 64: the weights grow no faster than the channels."""
    steps: list[nn.Module] = [nn.Flatten()]
    for _ in range(layers // 2):
        steps += [nn.Linear(64, channels), nn.ReLU(), nn.Linear(channels, 64), nn.ReLU()]
    return nn.Sequential(*steps)
