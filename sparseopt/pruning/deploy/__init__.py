"""Pruned models made faster: `export` replaces layers by sparse ones where those are faster on a sample."""

from .export import TARGETS, export
from .report import ExportReport, ExportRow

__all__ = ["TARGETS", "ExportReport", "ExportRow", "export"]
