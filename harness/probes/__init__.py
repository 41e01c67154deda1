"""What is tried against a deployed mail server, from every vantage, and written down.

A probe takes a `harness.site.Site` and records observations. It never judges: that is
`harness.judge`'s part.
"""
