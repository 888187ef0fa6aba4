"""The modules of stage one; users import from `dataset_build`."""
