"""Instructions the project wrote itself: many kinds, many phrasings, references a scorer can check.

One file per category. Each holds a `KIND`: a category name, the metric that checks it, and tasks; a task is
a list of phrasing families (templates with `{slots}`) and a function that draws the slots and the reference.
"""

from dataset_build.src.sources.bundled.kinds import Draw, Kind, Task

__all__ = ["Draw", "Kind", "Task"]
