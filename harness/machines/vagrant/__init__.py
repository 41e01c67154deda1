"""Virtual machines that Vagrant makes."""
