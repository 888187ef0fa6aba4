"""The modules of stage two; users import from `mixture_training`."""
