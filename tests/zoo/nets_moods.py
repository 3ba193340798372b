"""Networks that print, draw, remember and fail."""

import torch
from torch import nn


class Printing(nn.Module):
    def __init__(self):
        super().__init__()
        print("made")
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        print("called with", tuple(x.shape))
        return self.fc(x)


class Drawing(nn.Module):
    """Adds noise, also in evaluation, and reseeds everything."""

    def __init__(self):
        super().__init__()
        self.fc, self.noise, self.head = nn.Linear(6, 8), Noise(), nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.noise(self.fc(x)))


class Noise(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(1))

    def forward(self, x):
        return x + self.scale * torch.randn_like(x)


class Remembering(nn.Module):
    """Counts what it has seen in a buffer and keeps its input."""

    def __init__(self):
        super().__init__()
        self.fc, self.kept = nn.Linear(6, 3), None
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x):
        self.seen += len(x)
        self.kept = x
        return self.fc(x)


class Failing(nn.Module):
    """Fails where it meets what stands in the third batch."""

    def __init__(self, error):
        super().__init__()
        self.error, self.fc = error, nn.Linear(6, 3)

    def forward(self, x):
        if (x[:, 0] == 77).any():
            raise self.error("the third batch")
        return self.fc(x)
