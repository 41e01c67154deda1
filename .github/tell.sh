#!/bin/sh
# Tell the maintainers that verdicts changed: in the open issue that has the label, or a new one.
# Nothing closes it: that is for whoever has read it. Where it was closed, a change opens another.
#   $1 what changed, in Markdown
#   $2 the page of the run
# GH_REPO and GH_TOKEN are gh's own.
set -eu
changes=$1 page=$2
label=verdict-changed

# What was observed is in this text: it only ever is a file's content, never part of a command.
# GitHub takes 65536 characters; lines are left out as a whole.
text=$(mktemp)
{
    LC_ALL=C awk -v limit=60000 '
        { size += length($0) + 1 }
        size > limit { print "\n… and more, in the artifact `changes`."; exit }
        { print }' "$changes"
    printf '\n[The run, with its report](%s)\n' "$page"
} >"$text"

gh label create "$label" --force --color b60205 \
    --description "What a nightly run saw is not what the one before it saw"
number=$(gh issue list --label "$label" --state open --limit 1 --json number --jq '.[].number')
if [ -n "$number" ]; then
    gh issue comment "$number" --body-file "$text"
else
    gh issue create --title "Nightly: verdicts changed" --label "$label" --body-file "$text"
fi
rm "$text"
