"""One file in HTML with everything that was observed, for people who read a run afterwards."""
