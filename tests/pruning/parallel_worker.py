"""One process of a parallel run: prunes a small net and writes its masks and weights.

The test starts processes that share what they import; `torchrun --nproc-per-node 3 parallel_worker.py FOLDER` does the
same by itself.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

import torch
import torch.distributed as dist
from nets import GRANULARITIES, METHODS
from torch import nn
from torch.distributed.checkpoint import state_dict as checkpoint
from torch.distributed.fsdp import fully_shard
from torch.nn import functional

from sparseopt.pruning import Block, Sparsifier

STEPS = 10
MIDDLE = 4
BATCH = 12
CASES = [
    ("Magnitude", "block"),
    ("Magnitude", "odd block"),
    ("Magnitude", "input channel"),
    ("Magnitude", "2:4"),
    ("Magnitude", "unstructured"),
    ("GroupLasso", "block"),
    ("SequentialAttention", "block"),
    ("ACDC", "odd block"),
    ("Powerpropagation", "odd block"),
    ("SMART", "odd block"),
    ("SMART gradient", "block"),
    ("SMART activation", "block"),
    ("ADMM balanced", "odd block"),
    ("ADMM", "2:4"),
    ("SRSTE", "odd block"),
    ("SRSTE", "2:4"),
    ("RigL", "odd block"),
]


def build():
    """Rows of 10 and 14: shards of 2 and 3 processes cut through blocks; of 4 rows the last of 3 processes has none."""
    torch.manual_seed(0)
    convolutions = [nn.Conv2d(2, 10, 3), nn.Tanh(), nn.Conv2d(10, 14, 3), nn.Tanh(), nn.Flatten()]
    return nn.Sequential(*convolutions, nn.Linear(56, 10), nn.Tanh(), nn.Linear(10, 4), nn.Tanh(), nn.Linear(4, 3))


def data(step):
    rng = torch.Generator().manual_seed(step)
    return torch.randn(BATCH, 2, 6, 6, generator=rng), torch.randint(3, (BATCH,), generator=rng)


def run(how, method, granularity, begin=None):
    """Masks, scalars and the whole weights after training.

    begin: a folder with states of the middle, to go on from where they are, and to write them to where they are not.
    """
    rank, size = (dist.get_rank(), dist.get_world_size()) if how != "single" else (0, 1)
    model = build().double()
    if how == "fsdp":
        for layer in model:
            if list(layer.parameters()):
                fully_shard(layer)
        fully_shard(model)
    elif how == "ddp":
        model = nn.parallel.DistributedDataParallel(model)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    given, sparsity = GRANULARITIES[granularity]
    sp = Sparsifier(
        model,
        given,
        method=METHODS[method],
        sparsity=sparsity,
        total_steps=STEPS - 2,
        optimizer=optimiser,
        smallest=2,
        scope="layer" if method == "SequentialAttention" or sparsity is None else "global",
    )
    file = None if begin is None else Path(begin) / f"{method} {granularity}.pt"
    resumed = file is not None and file.is_file()
    if resumed:
        load_whole(model, optimiser, sp, file)
    for step in range(MIDDLE + 1 if resumed else 0, STEPS):
        x, y = (part[rank::size] for part in data(step))
        functional.cross_entropy(model(x.double()), y).backward()
        optimiser.step()
        optimiser.zero_grad()
        if step == MIDDLE:
            resume(sp, optimiser)
            if file is not None:
                save_whole(model, optimiser, sp, file)
    masks = {name.removeprefix("module."): mask for name, mask in sp.masks.items()}
    sparsity = sp.sparsity
    sp.fold()
    weights = {}
    for name, parameter in model.named_parameters():
        whole = parameter.full_tensor() if how == "fsdp" else parameter
        weights[name.removeprefix("module.")] = whole.detach().clone()
    return {"masks": masks, "weights": weights, "sparsity": sparsity}


def save_whole(model, optimiser, sp, file):
    """States as one process has them."""
    options = checkpoint.StateDictOptions(full_state_dict=True)
    states = (sp.state_dict(), *checkpoint.get_state_dict(model, optimiser, options=options))
    if dist.get_rank() == 0:
        torch.save(states, file)


def load_whole(model, optimiser, sp, file):
    """In any number of processes."""
    options = checkpoint.StateDictOptions(full_state_dict=True)
    mine, weights, momenta = torch.load(file, weights_only=True)
    given = {"model_state_dict": weights, "optim_state_dict": momenta}
    checkpoint.set_state_dict(model, optimiser, **given, options=options)
    sp.load_state_dict(mine)
    assert sp.step == MIDDLE + 1


def resume(sp, optimiser):
    """Load what was saved just now."""
    state, momenta = sp.state_dict(), optimiser.state_dict()
    sp.load_state_dict(state)
    optimiser.load_state_dict(momenta)


def refusals():
    """What Sparsifiers say of layouts that cannot work."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FullyShardedDataParallel
    from torch.distributed.tensor import Shard
    from torch.distributed.tensor.parallel import RowwiseParallel, parallelize_module

    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    columns, rowwise, late = build(), build(), build()
    fully_shard(columns, shard_placement_fn=lambda p: Shard(1) if p.ndim == 2 and p.shape[0] == 10 else Shard(0))
    rowwise = parallelize_module(rowwise, mesh, {"5": RowwiseParallel()})
    messages = []
    for model in (columns, rowwise, FullyShardedDataParallel(build(), device_id=torch.device("cpu"))):
        messages.append(_message(lambda model=model: _sparsifier(model)))
    optimiser = torch.optim.SGD(late.parameters(), lr=0.1)
    _sparsifier(late, optimiser)
    fully_shard(late)
    messages.append(_message(optimiser.step))
    return messages


def _sparsifier(model, optimiser=None):
    optimiser = optimiser or torch.optim.SGD(model.parameters(), lr=0.1)
    return Sparsifier(model, Block(4, 4), sparsity=0.5, total_steps=5, optimizer=optimiser)


def _message(call):
    try:
        call()
    except ValueError as error:
        return str(error)
    return "nothing was refused"


def main(folder, cases, begin=None):
    """All cases by DDP and FSDP2, or by FSDP2 from the middle; writes what `run` returned."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank, size = dist.get_rank(), dist.get_world_size()
    ways = ("ddp", "fsdp") if begin is None else ("fsdp",)
    results = {(how, *case): run(how, *case, begin) for how in ways for case in cases}
    results["refused"] = refusals() if size == 2 and begin is None else []
    torch.save(results, Path(folder) / f"{size}-{rank}.pt")
    dist.destroy_process_group()


def process(rank, size, folder, cases, begin=None):
    """What torchrun does: set the environment and start."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo"}
    os.environ |= {"LOCAL_RANK": str(rank), "TORCH_DISTRIBUTED_DEBUG": "OFF"}
    main(folder, cases, begin)


if __name__ == "__main__":
    main(sys.argv[1], CASES)
