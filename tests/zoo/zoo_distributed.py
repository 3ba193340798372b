"""What two processes of a training write, and what one of them hands over: ``distributed.py FOLDER RANK``."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

WORLD = 2


def build():
    """The network that is trained."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))


def trained(step):
    """The network after so many steps."""
    net = build()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(1.0 + 0.5 * step)
    return net


def write(folder, rank):
    """Save the network at two steps as each way of training does."""
    for step in range(2):
        ddp = nn.parallel.DistributedDataParallel(trained(step))
        if rank == 0:
            save(ddp.state_dict(), folder / "ddp" / f"step-{step}.pt")
        sharded = fully_shard(trained(step))
        whole = get_model_state_dict(sharded, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
        if rank == 0:
            save(whole, folder / "fsdp-whole" / f"step-{step}.pt")
        dcp.save({"model": get_model_state_dict(sharded)}, checkpoint_id=folder / "fsdp-sharded" / f"step-{step}")
        save(sharded.state_dict(), folder / f"fsdp-rank{rank}" / f"step-{step}.pt")
        mesh = init_device_mesh("cpu", (WORLD,))
        parallel = parallelize_module(trained(step), mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})
        save(parallel.state_dict(), folder / f"tensor-rank{rank}" / f"step-{step}.pt")


def save(state, path):
    path.parent.mkdir(exist_ok=True)
    torch.save(state, path)


def hand_over(folder, rank):
    """Give the wrapped networks of this process to covscan, and write down what it said."""
    mesh = init_device_mesh("cpu", (WORLD,))
    networks = {
        "ddp": nn.parallel.DistributedDataParallel(trained(0)),
        "fsdp2": fully_shard(trained(0)),
        "fsdp2-part": nn.Sequential(fully_shard(nn.Linear(6, 8)), nn.Tanh(), nn.Linear(8, 4)),
        "fsdp1": FullyShardedDataParallel(trained(0), device_id=torch.device("cpu")),
        "tensor-parallel": parallelize_module(trained(0), mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()}),
    }
    if rank == 0:
        told = [f"{name} {_told(folder, net)}" for name, net in networks.items()]
        (folder / "told").write_text("\n".join(told))


def _told(folder, net):
    import numpy as np

    import covscan
    from covscan.errors import CovscanError

    data = {"x": np.random.default_rng(0).normal(size=(16, 6)).astype(np.float32)}
    before = _state(net.train())
    try:
        report = covscan.analyze([str(folder / "ddp")], model=net, data=data)
    except CovscanError as error:
        return f"{error.code}: {error.message}"
    left = "left as it was" if _state(net) == before else "changed"
    return f"measured {report.coverage.measured}, {left}"


def _state(net):
    modules = [(m.training, len(m._forward_hooks), len(m._forward_pre_hooks)) for m in net.modules()]
    return modules, [parameter.detach().sum() for parameter in net.parameters()], torch.get_rng_state().tolist()


if __name__ == "__main__":
    folder, rank = Path(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=WORLD)
    write(folder, rank)
    dist.barrier()
    hand_over(folder, rank)
    dist.barrier()
    dist.destroy_process_group()
