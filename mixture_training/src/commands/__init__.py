"""The sub-commands of `moe`, one module each: `add_arguments(parser)` and `run(args) -> int`."""
