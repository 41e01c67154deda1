#!/bin/sh
# Fetch what the latest night before this one has seen, where there is one.
#   $1 the folder that it goes to; there is none afterwards where no night's is to be had
# GH_REPO and GH_TOKEN are gh's own; GITHUB_RUN_ID is as GitHub sets it.
# Only the default branch has scheduled runs: a branch's run by hand is compared with them.
set -eu
folder=$1

gh run list --workflow nightly.yml --event schedule --limit 14 \
    --json databaseId --jq '.[].databaseId' >nights.txt
while read -r night; do
    [ "$night" != "$GITHUB_RUN_ID" ] || continue
    # A night that was cancelled has no such artifact, nor has one after three months.
    if gh run download "$night" --name night --dir "$folder" </dev/null; then
        echo "compared with run $night"
        exit 0
    fi
    rm -rf "$folder"
done <nights.txt
echo "no earlier night is to be had: nothing to compare with"
