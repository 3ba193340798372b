"""Networks to compare, and small ones that are made up of calls."""

import torch
import torch.nn.functional as functional
from torch import nn

from covscan.capture.types import Layout, Module, Network, Site, SiteKey


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.relu, self.conv2 = nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        return functional.relu(x + self.conv2(self.relu(self.bn1(self.conv1(x)))))


class ConvNet(nn.Module):
    """Containers, a BatchNorm that exporters fold away, functional sums and activations, modules called twice."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        self.blocks, self.seq = nn.ModuleList([Block()]), nn.Sequential(Block())
        self.pool, self.fc, self.act, self.head = (
            nn.AdaptiveAvgPool2d(1),
            nn.Linear(8, 8),
            nn.Sigmoid(),
            nn.Linear(8, 4),
        )

    def forward(self, image):
        x = self.stem(image)
        for block in self.blocks:
            x = block(x)
        x = self.pool(self.seq(x)).flatten(1)
        return self.head(self.act(self.fc(self.act(self.fc(x)))))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True, activation="gelu")
        self.emb, self.enc = nn.Embedding(20, 16), nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 4)

    def forward(self, tokens):
        return self.head(self.enc(self.emb(tokens)))


class Wrapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = ConvNet()

    def forward(self, image):
        return self.body(image)


def conv_net():
    torch.manual_seed(0)
    network = ConvNet()
    with torch.no_grad():
        for _ in range(30):
            network(torch.randn(32, 3, 8, 8))
    return network.eval()


def transformer():
    torch.manual_seed(0)
    network = Transformer().eval()
    with torch.no_grad():
        for weight in network.parameters():  # exporters share tensors that are bit-equal
            weight.add_(0.01 * torch.randn_like(weight))
    return network


def wrapped():
    network = Wrapped()
    network.body.load_state_dict(conv_net().state_dict())
    return network.eval()


def chain(*calls, graph=False):
    """A network of calls in a row: (name, type, channels, origin), with other fields by name behind them."""
    sites, modules = [], []
    read = SiteKey("data", "input")
    sites.append(Site(read, "Data", "layer", Layout(1), 4, ("N", 4), 0))
    for name, kind, channels, origin, *rest in calls:
        more = dict(*rest)
        key = SiteKey(name, "output")
        shape = more.pop("shape", ("N", channels))
        role = more.pop("role", "activation" if kind in {"Relu", "ReLU"} else "norm" if "Batch" in kind else "layer")
        sites.append(Site(key, kind, role, Layout(1), channels, shape, len(sites)))
        nodes = (more.pop("node", f"node_{name}"),) if graph else ()
        modules.append(Module(name, kind, role, len(modules), (read,), key, origin=origin, nodes=nodes, **more))
        read = key
    return Network(tuple(sites), tuple(modules), (), ())
