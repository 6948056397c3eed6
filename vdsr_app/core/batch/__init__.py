"""Batch processing of folders of any size, recorded step by step so that nothing is lost.

`options` defines a batch, `scan` finds the pictures, `plan` decides on each before any is read, `survey` combines the
two, `estimate` sums up the plan, `journal` records what was done, `runner` does the work with `core.pipeline`, and
`report` writes the outcome.
"""

from vdsr_app.core.batch.estimate import Plan, plan_of
from vdsr_app.core.batch.events import (
    BatchEvent,
    BatchReport,
    Changed,
    FoundRoom,
    Noticed,
    Planned,
    Progress,
    WaitsForRoom,
)
from vdsr_app.core.batch.items import Item, SourceFacts, Stamp, State, Totals
from vdsr_app.core.batch.options import BatchOptions, Existing
from vdsr_app.core.batch.plan import probe_source
from vdsr_app.core.batch.report import REPORT_HEADER, write_report
from vdsr_app.core.batch.runner import Batch
from vdsr_app.core.batch.unfinished import Unfinished, unfinished

__all__ = [
    "REPORT_HEADER",
    "Batch",
    "BatchEvent",
    "BatchOptions",
    "BatchReport",
    "Changed",
    "Existing",
    "FoundRoom",
    "Item",
    "Noticed",
    "Plan",
    "Planned",
    "Progress",
    "SourceFacts",
    "Stamp",
    "State",
    "Totals",
    "Unfinished",
    "WaitsForRoom",
    "plan_of",
    "probe_source",
    "unfinished",
    "write_report",
]
