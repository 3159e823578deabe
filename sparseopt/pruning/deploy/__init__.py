"""Pruned models made faster: `export` replaces layers by sparse ones where those are faster on a sample."""

from .arguments import TARGETS
from .export import export
from .patterns import load_patterns
from .report import ExportReport, ExportRow

__all__ = ["TARGETS", "ExportReport", "ExportRow", "export", "load_patterns"]
