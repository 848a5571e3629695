#!/bin/sh
# merge.sh -o OUT IN IN ...: joins summaries or histograms, by what they look like.
set -eu
[ "$1" = -o ] || { echo "ERROR : usage: merge.sh -o OUT IN ..." >&2; exit 1; }
out=$2
shift 2
if head -n 1 "$1" | grep -q '^month,'; then
    { head -n 1 "$1"; for file in "$@"; do tail -n +2 "$file"; done | sort; } >"$out"
else
    awk '{ count[$1] += $2 } END { for (edge in count) print edge, count[edge] }' "$@" | sort -n >"$out"
fi
echo "joined $# files into $out"
