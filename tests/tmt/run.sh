#!/bin/sh
# Deploy on this host, judge, and tell tmt of it.
#   $K as pytest's -k   $TMT_TEST_DATA what tmt takes away
cd /opt/dms-harness || exit 2
# Not below /root: what is new there would be taken for something that the run left.
export DMS_HARNESS_CACHE=/var/tmp/dms-harness

.venv/bin/pytest --machine ssh:root@localhost --i-know-this-changes-the-host \
    --mailserver "$(realpath /var/tmp/dms-harness-image/*)" -k "$K" -v \
    --runs="$TMT_TEST_DATA/runs" --junitxml="$TMT_TEST_DATA/junit.xml"
status=$?
.venv/bin/python -m harness.report.tmt $status "$TMT_TEST_DATA"
