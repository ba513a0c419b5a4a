#!/bin/sh
# Upper limit with nothing but pyhf: bisect CLs(POI) = ALPHA between LOW and HIGH.
# usage: cls_limit.sh WORKSPACE.json LOW HIGH [ALPHA]   (ALPHA 0.1 is 90 % CL)
set -eu
fail() { echo "cls_limit.sh: $1" >&2; exit 2; }
[ $# -ge 3 ] || fail "usage: cls_limit.sh WORKSPACE.json LOW HIGH [ALPHA]"
command -v pyhf >/dev/null || fail "pyhf is not on PATH; activate its environment first"
file=$1 low=$2 high=$3 alpha=${4:-0.1}
above() { # is CLs at $1 above alpha?
  cls=$(pyhf cls --test-poi "$1" "$file" | sed -n 's/.*"CLs_obs": *//p' | tr -d ' ,')
  case $cls in [0-9]*) ;; *) fail "pyhf gave no CLs for $file at $1" ;; esac
  awk "BEGIN { exit !($cls > $alpha) }"
}
if above "$high"; then fail "CLs at HIGH = $high is above $alpha: raise HIGH"; fi
above "$low" || fail "CLs at LOW = $low is below $alpha: lower LOW"
for step in 1 2 3 4 5 6 7 8 9 10 11 12; do
  middle=$(awk "BEGIN { print ($low + $high) / 2 }")
  if above "$middle"; then low=$middle; else high=$middle; fi
done
awk "BEGIN { print ($low + $high) / 2 }"
