"""Machines that somebody has already: hosts that are changed over SSH, and changed back."""
