"""Machines that outlive their run for a person to look at: `pytest --keep`."""
