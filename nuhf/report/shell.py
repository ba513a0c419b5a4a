"""Shell scripts beside the shipped workspaces: limits with nothing but pyhf."""

from typing import Final

__all__ = ["CLS", "CROSSINGS", "PROFILE"]

CLS: Final = """\
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
"""

PROFILE: Final = """\
#!/bin/sh
# Interval with nothing but pyhf: where 2NLL over a patch set is RISE above its minimum.
# usage: profile_limit.sh FOLDER [RISE]   (BkgOnly.json and patchset.json; RISE 2.7055 is 90 % CL)
set -eu
command -v pyhf >/dev/null || { echo "profile_limit.sh: pyhf is not on PATH" >&2; exit 2; }
[ $# -ge 1 ] || { echo "usage: profile_limit.sh FOLDER [RISE]" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd) && cd "$1"
for name in $(pyhf patchset inspect patchset.json | sed '1,/---/d'); do
  value=$(echo "${name##*_}" | sed 's/m/-/g; s/p/./')
  height=$(pyhf patchset apply --name "$name" BkgOnly.json patchset.json |
    pyhf fit --value -p "$here/fix_strength.json" | sed -n 's/.*"twice_nll": *//p')
  echo "$value $height"
done | sort -g | awk -v rise="${2:-2.7055}" -f "$here/crossings.awk"
"""
"""A patch name ends in its value: ``m1p5`` is -1.5."""

CROSSINGS: Final = """\
# Where y is `rise` above its lowest value, from lines "x y" in increasing x: the cubic through
# the four nearest points, 500 steps between neighbours.
{ x[NR] = $1; y[NR] = $2 }
function cubic(t, first,   i, j, term, sum) {
  for (i = first; i < first + 4; i++) {
    term = y[i]
    for (j = first; j < first + 4; j++) if (j != i) term *= (t - x[j]) / (x[i] - x[j])
    sum += term
  }
  return sum
}
END {
  if (NR < 4) { print "crossings.awk: needs four points" > "/dev/stderr"; exit 1 }
  for (c = 1; c < NR; c++) {
    first = c < 2 ? 1 : (c > NR - 2 ? NR - 3 : c - 1)
    for (s = 0; s < 500 || (c == NR - 1 && s == 500); s++) {
      u[++n] = x[c] + (x[c + 1] - x[c]) * s / 500
      v[n] = cubic(u[n], first)
      if (n == 1 || v[n] < low) low = v[n]
    }
  }
  for (k = 2; k <= n; k++) {
    a = v[k - 1] - low - rise; b = v[k] - low - rise
    if ((a <= 0) != (b <= 0)) printf "%.6g\\n", u[k - 1] + (u[k] - u[k - 1]) * a / (a - b)
  }
}
"""
"""For POSIX awk."""
