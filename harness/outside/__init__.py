"""The world around the deployed mail server: a DNS server and a recording mail exchanger."""
