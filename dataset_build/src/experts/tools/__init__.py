"""The embedded pool: tools on this machine that answer without key, GPU or download. One file each."""

from dataset_build.src.experts.base import ToolExpert
from dataset_build.src.registry import Registry

tools: Registry[ToolExpert] = Registry("expert", {})
