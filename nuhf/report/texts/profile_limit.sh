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
