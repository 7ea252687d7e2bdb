"""Plans an ingest: finds files, compares them with what the store knows, and tells what is to be read and removed.

Reads no document and writes nothing: a dry run ends here.
"""

from ingest.plan.known import seal
from ingest.plan.planner import make_plan, plan_documents
from ingest.plan.result import Plan, Task, cut_recipe, kept_note

__all__ = ["Plan", "Task", "cut_recipe", "kept_note", "make_plan", "plan_documents", "seal"]
