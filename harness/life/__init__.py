"""What a mail server outlives: reboots, logouts, kills, restarts, updates.

Every variant with `checks = "life"` has a machine of its own. Before its first event a message is
delivered to a mailbox and another one is kept in the queue; after every event it is waited until
the mail server answers, or until it is clear that it does not, and then looked at.
"""
