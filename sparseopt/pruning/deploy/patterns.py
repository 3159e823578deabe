"""Pruned models as files for an accelerator: one library of patterns, an index for each tile, and packed values.

manifest.json says how to read model.safetensors, which holds a hash of what it says: tile [r, c], and for each packed
parameter its shape, dtype and grid.
  library          uint8 [K, r, c], 1 where a pattern keeps an entry; at most 256 patterns
  index.<name>     uint8 [taps, ceil(outputs / r), ceil(inputs / c)]: the pattern of each tile, for each tap
  values.<name>    the kept entries, tile after tile, row after row inside a tile
  dense.<name>     all other tensors of the model's state, as they are
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..weights import Weight

Tensor = torch.Tensor
MANIFEST, TENSORS = "manifest.json", "model.safetensors"
FORMAT, HASH = "sparseopt patterns", "manifest"
TILES = ((4, 4), (3, 3), (2, 2), (2, 4), (4, 2), (1, 4), (4, 1), (1, 8), (8, 1), (8, 8), (1, 2), (2, 1), (1, 1))
"""Tiles that are tried; the one with the smallest files is taken."""
LARGEST = 256
INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True)
class Tiled:
    """A weight [outputs, inputs, ...] cut into tiles r x c of each tap: entries [taps, down, across, r * c]."""

    entries: Tensor
    kept: Tensor

    @classmethod
    def of(cls, weight: Weight, tile: tuple[int, int]) -> Tiled:
        """Zeros beyond the border.  An entry is kept unless all its bits are 0: so -0.0 is."""
        entries = _tiled(_planes(weight.parameter.detach().cpu(), weight.taps, weight.transposed), tile)
        return cls(entries, entries.view(INTEGERS[entries.element_size()]) != 0)

    @property
    def codes(self) -> np.ndarray:
        """The pattern of each tile as a number, uint64 [taps, down, across]: bit i for entry i."""
        bits = np.left_shift(np.uint64(1), np.arange(self.kept.shape[-1], dtype=np.uint64))
        return (self.kept.numpy() * bits).sum(axis=-1, dtype=np.uint64)


def save_patterns(model: nn.Module, folder: str | Path, weights: list[Weight]) -> dict[str, Any]:
    """Write the model to a folder, with these weights packed; returns the manifest."""
    from safetensors.torch import save_file

    tile = _smallest(weights)
    tiled = {weight.name: Tiled.of(weight, tile) for weight in weights}
    codes = {name: tiles.codes for name, tiles in tiled.items()}
    library = _distinct(codes.values())
    bits = np.arange(tile[0] * tile[1], dtype=np.uint64)
    masks = (library[:, None] >> bits & np.uint64(1)).astype(np.uint8).reshape(-1, *tile)
    tensors = {"library": torch.from_numpy(masks)}
    for name, tiles in tiled.items():
        tensors[f"index.{name}"] = torch.from_numpy(np.searchsorted(library, codes[name]).astype(np.uint8))
        tensors[f"values.{name}"] = tiles.entries[tiles.kept]
    rest = {name: tensor for name, tensor in model.state_dict().items() if name not in tiled}
    tensors |= {f"dense.{name}": tensor.detach().cpu().clone().contiguous() for name, tensor in rest.items()}
    manifest = {
        "format": FORMAT,
        "version": 1,
        "tensors": TENSORS,
        "tile": list(tile),
        "patterns": len(library),
        "layers": {weight.name: _described(weight, tiled[weight.name]) for weight in weights},
        "dense": list(rest),
    }
    Path(folder).mkdir(parents=True, exist_ok=True)
    save_file(tensors, Path(folder) / TENSORS, metadata={HASH: _hash(manifest)})
    (Path(folder) / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


def load_patterns(folder: str | Path) -> dict[str, Tensor]:
    """The state of the model that was written to a folder, bit for bit, for `load_state_dict`.

    Raises ValueError where the folder holds no such files, or a manifest that is not that of the tensors.
    """
    from safetensors.torch import load_file

    manifest = _manifest(Path(folder))
    tensors = load_file(Path(folder) / TENSORS)
    library = tensors["library"].flatten(1).bool()
    state = {name: tensors[f"dense.{name}"] for name in manifest["dense"]}
    for name, layer in manifest["layers"].items():
        kept = library[tensors[f"index.{name}"].long()]
        entries = torch.zeros(kept.shape, dtype=tensors[f"values.{name}"].dtype)
        entries[kept] = tensors[f"values.{name}"]
        state[name] = _untiled(entries, layer, tuple(manifest["tile"]))
    return state


def _manifest(folder: Path) -> dict[str, Any]:
    """What the manifest says, checked."""
    from safetensors import SafetensorError, safe_open

    path, tensors = folder / MANIFEST, folder / TENSORS
    missing = [file for file in (path, tensors) if not file.is_file()]
    if path not in missing:
        try:
            manifest = json.loads(path.read_text())
        except ValueError as error:
            raise ValueError(f"{path} cannot be read ({error}): export the model again") from None
        found = (manifest.get("format"), manifest.get("version")) if isinstance(manifest, dict) else ()
        if found != (FORMAT, 1):
            raise ValueError(f"{path} describes {found}, not patterns 1: export the model again")
    if missing:
        advice = "give the folder that export(model, 'patterns', sample, path=...) wrote"
        raise ValueError(f"{missing[0]} is missing: {advice}")
    try:
        with safe_open(tensors, framework="pt") as file:
            written = (file.metadata() or {}).get(HASH)
    except SafetensorError as error:
        raise ValueError(f"{tensors} cannot be read ({error}): export the model again") from None
    if written != _hash(manifest):
        raise ValueError(f"{path} was changed, or {TENSORS} is another export's: export the model again")
    return manifest


def _hash(manifest: dict[str, Any]) -> str:
    """SHA-256 of what a manifest says, however it is written."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def packed_size(weight: Weight, manifest: dict[str, Any]) -> int:
    """Bytes of the index and the values of a packed weight."""
    layer = manifest["layers"][weight.name]
    return int(np.prod(layer["grid"])) + layer["kept"] * weight.parameter.element_size()


def _described(weight: Weight, tiles: Tiled) -> dict[str, Any]:
    parameter = weight.parameter
    return {
        "shape": list(parameter.shape),
        "dtype": str(parameter.dtype).removeprefix("torch."),
        "transposed": weight.transposed,
        "taps": weight.taps,
        "grid": list(tiles.kept.shape[:3]),
        "kept": int(tiles.kept.sum()),
    }


def _distinct(codes: Any) -> np.ndarray:
    return np.unique(np.concatenate([array.ravel() for array in codes]))


def _smallest(weights: list[Weight]) -> tuple[int, int]:
    """The tile with the fewest bytes for library and indices, of those with at most 256 patterns."""
    best = (TILES[-1], np.inf)
    for tile in TILES:
        codes = [Tiled.of(weight, tile).codes for weight in weights]
        patterns = len(_distinct(codes))
        size = patterns * tile[0] * tile[1] + sum(array.size for array in codes)
        if patterns <= LARGEST and size < best[1]:
            best = (tile, size)
    return best[0]


def _planes(w: Tensor, taps: int, transposed: bool) -> Tensor:
    """[taps, outputs, inputs] of a weight."""
    planes = w.reshape(w.shape[0], -1, taps).permute(2, 0, 1)
    return planes.transpose(1, 2) if transposed else planes


def _tiled(planes: Tensor, tile: tuple[int, int]) -> Tensor:
    (taps, rows, columns), (r, c) = planes.shape, tile
    down, across = -(-rows // r), -(-columns // c)
    padded = planes.new_zeros(taps, down * r, across * c)
    padded[:, :rows, :columns] = planes
    return padded.reshape(taps, down, r, across, c).transpose(2, 3).reshape(taps, down, across, r * c)


def _untiled(entries: Tensor, layer: dict[str, Any], tile: tuple[int, ...]) -> Tensor:
    (taps, down, across), (r, c), shape = layer["grid"], tile, layer["shape"]
    planes = entries.reshape(taps, down, across, r, c).transpose(2, 3).reshape(taps, down * r, across * c)
    planes = planes.transpose(1, 2) if layer["transposed"] else planes
    rows, channels = shape[0], int(np.prod(shape[1:])) // taps
    return planes[:, :rows, :channels].permute(1, 2, 0).reshape(shape)
