"""Folders by the thousand: found, planned, done one after the other, and written down so that nothing is lost.

`options` says what is asked for, `scan` finds the pictures, `plan` decides on each before any is read, `survey` joins
these two, `estimate` tells what that comes to, `journal` keeps what was done, `runner` does it on `core.pipeline`, and
`report` tells of it.
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
