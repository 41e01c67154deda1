"""One deployment, and a person in it: what `dms-harness shell` is made of."""
