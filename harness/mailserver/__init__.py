"""Where the mail server image comes from that the operator's files name."""
