"""From a pruned model to a faster one: every layer in the format that is fastest on a sample."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from . import timing
from .arguments import check, checked_least, try_sample
from .channels import shrunk
from .layers import Site, choices, sites_of
from .patterns import load_patterns, packed_size, save_patterns
from .report import ExportReport, ExportRow
from .runtime import to_onnx
from .timing import Stopwatch

SLOWER = "the model as a whole was not faster"
BESIDE_OTHERS = "it was faster alone, but not with the other layers replaced"
UNTOUCHED = "none of its channels went"


def export(
    model: nn.Module,
    target: str = "auto",
    sample: Any = None,
    *,
    least_speedup: float = 1.05,
    path: str | Path | None = None,
) -> nn.Module:
    """A new model in eval mode whose sparse layers are faster; the given one stays as it is.

    target:
      "auto"      the fastest of "sparse", "bsr", "csr", "balanced", "2:4" and dense for each layer
      "sparse"    own product of blocks of 16, 32 or 64; compiled for float32 on the CPU and every type on CUDA
                  devices, differentiable in the input
      "bsr", "csr"  the formats of torch, for inference
      "balanced"  a gather and a batched product, where block rows keep equally many blocks: `Block(..., balance="row")`
      "2:4"       the format of sparse tensor cores, after pruning with `NM(2, 4)`: half types on a CUDA device
      "onnx"      a graph for inputs of the sample's shapes, and of other batches, run by ONNX Runtime, with balanced
                  layers if it is faster with them; its .save(path) writes it
      "patterns"  a library of patterns, an index for each tile and packed values in the folder `path`, for
                  `load_patterns` and accelerators; returns the model that was read back from there
      "channels"  layers without the channels that are constant or that nobody reads, after pruning with `Channel()`:
                  physically smaller, traced by torch-pruning, the same outputs
      "dense"     a copy
    Blocks are found from the zeros.
    sample: what the model is called with: one argument, a tuple of arguments, or keywords in a dict.
    A layer is replaced where that makes it at least `least_speedup` times faster inside a pass over the sample, else it
    stays dense; so does the model where it is not faster as a whole.  least_speedup=0 replaces whatever can be.
    The result's `export_report` tells what was done and measured; print it.  What can be compiled, or traced by
    torch.export or torch.jit.trace, can be so afterwards ("onnx" and "2:4" apart).

    Raises ValueError for another target, a model that cannot run on the sample or has no layer to export, weights that
    are not finite or not in memory, parametrised weights.
    """
    check(model, target, sample, path)
    least = checked_least(least_speedup)
    result = copy.deepcopy(model).eval()
    with torch.no_grad():
        try_sample(result, sample)
        work = _Export(result, sample, target, least)
        if target == "patterns":
            return work.packed(path)
        if target == "channels":
            return work.smaller()
        return work.graph() if target == "onnx" else work.result()


class _Export:
    """A copy of the model whose layers are exchanged; `sites` keeps the dense ones."""

    def __init__(self, model: nn.Module, sample: Any, target: str, least: float) -> None:
        self.model, self.sample, self.target, self.least = model, sample, target, least
        self.sites = sites_of(model)
        self.dense: dict[str, nn.Module] = {site.name: site.module for site in self.sites}
        self.reasons = {site.name: "as asked for" for site in self.sites}
        self.formats: dict[str, str] = {}

    def result(self) -> nn.Module:
        """Choose, measure once more, and report."""
        chosen = {} if self.target == "dense" else self._chosen()
        before, now = self._beside_dense(chosen)
        slower = [name for name in chosen if self.least and now.layers[name] > before.layers[name]]
        if slower:  # beside other neighbours than when it was chosen
            self.reasons |= dict.fromkeys(slower, BESIDE_OTHERS)
            chosen = {name: module for name, module in chosen.items() if name not in slower}
            before, now = self._beside_dense(chosen)
        if self.least and now.whole > before.whole:
            self.reasons |= dict.fromkeys(chosen, SLOWER)
            chosen, now = {}, before
        self._install(chosen)
        self.model.export_report = self._report(chosen, before, now)  # type: ignore[assignment]
        return self.model

    def _beside_dense(self, chosen: dict[str, nn.Module]) -> tuple[Stopwatch, Stopwatch]:
        """Times of the dense model and of the one with these replacements."""
        watches = self._measured({"dense": {}} | ({"chosen": chosen} if chosen else {}))
        return watches["dense"], watches.get("chosen", watches["dense"])

    def graph(self) -> nn.Module:
        """The faster one of two ONNX graphs: of the dense model, and with all layers balanced that can be."""
        chosen = {}
        for site in self.sites:
            builds, self.reasons[site.name] = choices(site, "balanced")
            for self.formats[site.name], build in builds.items():
                chosen[site.name] = build().eval()
        graphs = {"dense": to_onnx(self._install({}), self.sample)}
        if chosen:
            graphs["chosen"] = to_onnx(self._install(chosen), self.sample)
        watches = timing.compared({name: {} for name in graphs}, self.sample, lambda name: graphs[name])
        before, now, best = watches["dense"], watches.get("chosen", watches["dense"]), graphs.get("chosen")
        if best is None or before.whole < self.least * now.whole:
            self.reasons |= dict.fromkeys(chosen, SLOWER)
            chosen, now, best = {}, before, graphs["dense"]
        best.export_report = self._report(chosen, before, now)  # type: ignore[assignment]
        return best

    def smaller(self) -> nn.Module:
        """The model without superfluous channels."""
        names = [site.name for site in self.sites if site.name and not site.reason]
        model, reasons = shrunk(copy.deepcopy(self.model), self.sample, names)
        chosen = {name: model.get_submodule(name) for name in names}
        chosen = {name: layer for name, layer in chosen.items() if _shape(layer) != _shape(self.dense[name])}
        layers = {"dense": self.dense, "chosen": self.dense | {name: model.get_submodule(name) for name in self.dense}}
        watches = timing.compared(layers, self.sample, lambda name: model if name == "chosen" else self.model)
        before, now = watches["dense"], watches["chosen"]
        self.reasons |= {site.name: site.reason or UNTOUCHED for site in self.sites} | reasons
        if not chosen or (self.least and now.whole > before.whole):
            self.reasons |= dict.fromkeys(chosen, SLOWER)
            model, chosen, now = self.model, {}, before
        self.formats = {name: "channels {}x{}".format(*_shape(layer)) for name, layer in chosen.items()}
        model.export_report = self._report(chosen, before, now)  # type: ignore[assignment]
        return model

    def packed(self, folder: Any) -> nn.Module:
        """Files of patterns, and the model that they hold."""
        weights = [site.weight for site in self.sites if site.sparsity and not site.reason.startswith("tied")]
        if not weights:
            raise ValueError("no weight is 0: prune the model first, with Pattern(...) or any other granularity")
        manifest = save_patterns(self.model, folder, weights)
        self.model.load_state_dict(load_patterns(folder))
        watch = self._measured({"dense": {}})["dense"]
        report = self._report({}, watch, watch)
        dense = {site.name: _own_size(site.module) for site in self.sites}
        sizes = {w.module_name: dense[w.module_name] - w.parameter.nbytes + packed_size(w, manifest) for w in weights}
        target = "patterns {}x{}".format(*manifest["tile"])
        rows = [
            replace(row, target=target, reason="", size=sizes[row.name]) if row.name in sizes else row
            for row in report.rows
        ]
        self.model.export_report = replace(report, rows=tuple(rows))  # type: ignore[assignment]
        return self.model

    def _chosen(self) -> dict[str, nn.Module]:
        """The best replacement of each layer that has one."""
        formats: dict[str, dict[str, nn.Module]] = {}
        for site in self.sites:
            builds, self.reasons[site.name] = choices(site, self.target)
            for name, build in builds.items():
                formats.setdefault(name, {})[site.name] = build().eval()
        if not formats:
            return {}
        watches = self._measured({"dense": {}} | formats)
        chosen = {site.name: self._best(site, formats, watches) for site in self.sites}
        return {name: module for name, module in chosen.items() if module is not None}

    def _best(self, site: Site, formats: dict[str, Any], watches: dict[str, Stopwatch]) -> nn.Module | None:
        """The fastest format of a layer, None where it stays dense; notes the reason."""
        mine = {name: watches[name].layers.get(site.name) for name, modules in formats.items() if site.name in modules}
        seconds = {name: time for name, time in mine.items() if time is not None}
        dense = watches["dense"].layers.get(site.name)
        if not mine:
            return None
        if not seconds or dense is None:
            self.reasons[site.name] = "the sample does not reach it"
            return None
        best = min(seconds, key=lambda name: seconds[name])
        if dense < self.least * seconds[best]:
            self.reasons[site.name] = f"{best} has {dense / seconds[best]:.2f} times its speed"
            return None
        self.formats[site.name] = best
        return formats[best][site.name]

    def _measured(self, formats: dict[str, dict[str, nn.Module]]) -> dict[str, Stopwatch]:
        """Times of the model with each set of replacements, in turn."""
        layers = {name: self.dense | modules for name, modules in formats.items()}
        return timing.compared(layers, self.sample, lambda name: self._install(formats[name]))

    def _install(self, modules: dict[str, nn.Module]) -> nn.Module:
        """Put these modules in, and dense ones in all other places; the model."""
        for name, module in (self.dense | modules).items():
            if name:
                parent, _, attribute = name.rpartition(".")
                setattr(self.model.get_submodule(parent), attribute, module)
            else:
                self.model = module
        return self.model

    def _report(self, chosen: dict[str, nn.Module], before: Stopwatch, now: Stopwatch) -> ExportReport:
        rows = []
        for site in self.sites:
            module = chosen.get(site.name)
            target = "dense" if module is None else self.formats[site.name]
            reason = self.reasons[site.name] if module is None else ""
            nan, dense = float("nan"), _own_size(site.module)
            times = (before.layers.get(site.name, nan), now.layers.get(site.name, nan))
            size = dense if module is None else _size(module)
            rows.append(ExportRow(site.name, site.sparsity, target, reason, *times, size_dense=dense, size=size))
        apart = timing.difference(now.output, before.output)
        return ExportReport(self.target, tuple(rows), before.whole, now.whole, apart)


def _shape(layer: nn.Module) -> tuple[int, ...]:
    """Outputs and inputs of a layer."""
    weight = layer.weight
    return tuple(weight.shape[:2]) if isinstance(weight, torch.Tensor) else ()


def _own_size(module: nn.Module) -> int:
    """Bytes of the weight and the bias of a dense layer; the projection behind an attention is a layer of its own."""
    return sum(parameter.nbytes for parameter in module.parameters(recurse=False))


def _size(module: nn.Module) -> int:
    """Bytes of the parameters and buffers of a module."""
    return sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))
