"""The truth about a network's tensors: hooks that clone, and the whole data in one batch."""

from collections import Counter
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


def watched(net, arguments, keywords=None):
    """What each call of each module took and gave, by (name, position), in evaluation."""
    seen, calls, handles = {}, Counter(), []

    def before(name):
        def hook(module, args, kwargs):
            calls[name] += 1
            seen[_call(name, calls[name]), "input"] = first((args, kwargs))

        return hook

    def after(name):
        def hook(module, args, kwargs, output):
            seen[_call(name, calls[name]), "output"] = first(output)

        return hook

    for name, module in net.named_modules():
        if name and not isinstance(module, torch.jit.ScriptModule):
            handles.append(module.register_forward_pre_hook(before(name), with_kwargs=True))
            handles.append(module.register_forward_hook(after(name), with_kwargs=True))
    with torch.no_grad(), _slow_path(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net.eval()(*arguments, **(keywords or {}))
    for handle in handles:
        handle.remove()
    return seen


def first(value):
    """A copy of the first floating tensor with two axes or more, else of the first; as rows where it is ragged."""
    found = list(_tensors(value))
    chosen = next((t for t in found if t.is_floating_point() and t.ndim >= 2), found[0] if found else None)
    if chosen is None:
        return None
    if chosen.is_nested:
        return torch.cat([part.detach().clone() for part in chosen.unbind()])
    return (chosen.dequantize() if chosen.is_quantized else chosen).detach().clone()


def hooks(net):
    """How many hooks each module has, and whether it is in training, by name."""
    return {
        name: (len(module._forward_hooks), len(module._forward_pre_hooks), module.training)
        for name, module in net.named_modules()
        if not isinstance(module, torch.jit.ScriptModule)
    }


def _tensors(value):
    if isinstance(value, nn.utils.rnn.PackedSequence):
        yield value.data
    elif isinstance(value, torch.Tensor):
        yield value
    elif hasattr(value, "to_tuple"):
        yield from _tensors(value.to_tuple())
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _tensors(item)
    elif hasattr(value, "__dataclass_fields__"):
        yield from _tensors([getattr(value, name) for name in value.__dataclass_fields__])


def _call(name, number):
    return name if number == 1 else f"{name}#{number}"


@contextmanager
def _slow_path():
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def differences(report, checkpoint, seen, mask=None):
    """Sites of which the report says something else than ``seen``, and what. Every position must have been read."""
    wrong = []
    for site in report.sites:
        told = site.statistics.get(checkpoint)
        if told is None or site.position == "logits":
            continue
        values = seen[site.site, site.position].double()
        if values.ndim == len(site.shape):
            values = _rows(values, site, mask)
        values = values[values.isfinite().all(dim=1)]
        truth = values.mean().item(), values.std(correction=0).item()
        channels = values.mean(dim=0).numpy()
        spread = max(truth[1], 1e-3)
        right = np.allclose(told.channel_means, channels, rtol=1e-3, atol=1e-3 * spread) if told.channel_means else True
        if not right or not np.allclose((told.mean, told.std), truth, rtol=1e-3, atol=1e-4 * spread):
            wrong.append((site.site, site.position, (told.mean, told.std), truth))
    return wrong


def _rows(values, site, mask):
    """(rows, channels) of what is no padding: a mask belongs to what has as many positions."""
    sample = next(axis for axis, size in enumerate(site.shape) if isinstance(size, str))
    channels = values.shape[site.channel_axis]
    folded = int(site.shape[sample].partition("*")[2] or 1)
    rows = values.movedim((sample, site.channel_axis), (0, -1))
    rows = rows.reshape(values.shape[sample] // folded, -1, channels)
    if mask is not None and rows.shape[1] == mask.shape[1]:
        return rows[torch.from_numpy(mask)]
    return rows.reshape(-1, channels)
