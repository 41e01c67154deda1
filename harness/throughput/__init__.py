"""How fast podman's ways into a container are, side by side on one machine.

For each way there is a container of the mail server's image with an SMTP server that drops
everything and an iperf3 server, on published ports. The client is another container, which has no
network but a cable to the machine: its packets come from beside the machine, as those of any
client do, and not over the loopback interface, for which pasta has a way of its own.
"""
