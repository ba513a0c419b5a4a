#!/bin/sh
# Upper limit with nothing but pyhf: bisect CLs(POI) = ALPHA between LOW and HIGH.
# usage: cls_limit.sh WORKSPACE.json LOW HIGH [ALPHA]
set -eu
file=$1 low=$2 high=$3 alpha=${4:-0.1}
for step in 1 2 3 4 5 6 7 8 9 10 11 12; do
  middle=$(awk "BEGIN { print ($low + $high) / 2 }")
  cls=$(pyhf cls --test-poi "$middle" "$file" | sed -n 's/.*"CLs_obs": *//p' | tr -d ' ,')
  if awk "BEGIN { exit !($cls > $alpha) }"; then low=$middle; else high=$middle; fi
done
awk "BEGIN { print ($low + $high) / 2 }"
