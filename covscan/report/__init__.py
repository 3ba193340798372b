"""The contract with whoever reads a report: its types, JSON in and out, and the published schema."""

from covscan.report.decode import from_json, read
from covscan.report.encode import to_json
from covscan.report.schema import schema
from covscan.report.types import SCHEMA_VERSION, Report

__all__ = ["SCHEMA_VERSION", "Report", "from_json", "read", "schema", "to_json"]
