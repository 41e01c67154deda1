"""DMS's guide for Podman, held against the files and commands that the scenarios have from it."""
