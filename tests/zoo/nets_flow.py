"""Modules that are called in unusual ways, or not at all."""

import torch
from torch import nn
from torch.nn import functional


class InPlace(nn.Module):
    """Activations that overwrite what the layer in front gave, as a module and as a function."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu = nn.Conv2d(3, 5, 3), nn.ReLU(inplace=True)
        self.second, self.head = nn.Conv2d(5, 4, 3), nn.Linear(4, 2)

    def forward(self, x):
        y = self.second(self.relu(self.conv(x)))
        functional.relu_(y)
        y += 1
        return self.head(y.mean((2, 3)))


class Reused(nn.Module):
    """One layer three times, one activation twice, and the network inside of itself."""

    def __init__(self):
        super().__init__()
        self.fc, self.act = nn.Linear(6, 6), nn.Tanh()

    def forward(self, x, depth=2):
        return self.fc(x) if depth == 0 else self(self.act(self.fc(x)), depth - 1)


class Tied(nn.Module):
    """The embedding is the decoder's weight."""

    def __init__(self):
        super().__init__()
        self.embedding, self.body, self.decoder = nn.Embedding(20, 8), nn.Linear(8, 8), nn.Linear(8, 20, bias=False)
        self.decoder.weight = self.embedding.weight

    def forward(self, ids):
        return self.decoder(self.body(self.embedding(ids)).tanh())


class Partly(nn.Module):
    """A layer that nothing calls, one whose weight alone is read, and one whose forward is called past the hooks."""

    def __init__(self):
        super().__init__()
        self.used, self.unused, self.read, self.past = (nn.Linear(6, 6) for _ in range(4))
        self.blocks = nn.ModuleList([nn.Linear(6, 6)])

    def forward(self, x):
        return self.past.forward(functional.linear(self.blocks[0](self.used(x)), self.read.weight))


class Bypassed(nn.Module):
    """Every layer's forward is called past the hooks."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(6, 6), nn.Linear(6, 6)])

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x


class Experts(nn.Module):
    """Each expert sees the samples that the gate chose for it, the last one none."""

    def __init__(self):
        super().__init__()
        self.gate, self.experts = nn.Linear(6, 3), nn.ModuleList([nn.Linear(6, 6) for _ in range(3)])

    def forward(self, x):
        chosen = self.gate(x)[:, :2].argmax(-1)
        y = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            if (chosen == number).any():
                y[chosen == number] = expert(x[chosen == number])
        return y


class Moody(nn.Module):
    """Another branch in each batch that begins with a negative number."""

    def __init__(self):
        super().__init__()
        self.always, self.glad, self.sad = nn.Linear(6, 6), nn.Linear(6, 2), nn.Linear(6, 2)

    def forward(self, x):
        return (self.sad if x[0, 0] < 0 else self.glad)(self.always(x))


class HandedOn(nn.Module):
    """A wrapper that does not say what it takes."""

    def __init__(self):
        super().__init__()
        self.inner = Reused()

    def forward(self, *args, **kwargs):
        return self.inner(*args, **kwargs)


class Graphed(nn.Module):
    """Has something of its own that is called graph."""

    def __init__(self):
        super().__init__()
        self.graph, self.fc = Edges(), nn.Linear(6, 3)

    def forward(self, x):
        return self.fc(x)


class Edges:
    nodes = (1, 2, 3)


class Hooked(nn.Module):
    """The user's own hook doubles what a layer gives."""

    def __init__(self):
        super().__init__()
        self.fc, self.head = nn.Linear(6, 5), nn.Linear(5, 2)
        self.fc.register_forward_hook(lambda module, args, output: output * 2)

    def forward(self, x):
        return self.head(self.fc(x))


class Inferring(nn.Module):
    """Runs in inference mode, whose tensors do not count how often they were changed."""

    def __init__(self):
        super().__init__()
        self.fc, self.head = nn.Linear(6, 5), nn.Linear(5, 2)

    @torch.inference_mode()
    def forward(self, x):
        y = self.fc(x)
        functional.relu_(y)
        return self.head(y)


class Steered(nn.Module):
    """Differentiates inside of its forward."""

    def __init__(self):
        super().__init__()
        self.fc, self.energy = nn.Linear(6, 5), nn.Linear(5, 1)

    def forward(self, x):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.energy(self.fc(x).tanh()).sum(), x)
        return slope


class OwnGain(nn.Module):
    """Two normalizations of somebody's own: the first multiplies by its weight, the second by one more."""

    def __init__(self):
        super().__init__()
        self.fc, self.plain, self.shifted = nn.Linear(6, 6), OwnRMSNorm(0.0), OwnRMSNorm(1.0)

    def forward(self, x):
        return self.shifted(self.plain(self.fc(x)).tanh())


class OwnRMSNorm(nn.Module):
    def __init__(self, offset):
        super().__init__()
        self.offset, self.eps = offset, 1e-6
        self.weight = nn.Parameter(torch.full((6,), 1.0 - offset))

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * (self.offset + self.weight)
