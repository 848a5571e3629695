#!/bin/sh
# Builds lib/analyse: one program of its parts, tried on one line before it is used.
set -eu
mkdir -p lib
{
    cat src/head.sh
    printf "SUMMARY='\n"
    cat src/summary.awk
    printf "'\nHISTOGRAM='\n"
    cat src/histogram.awk
    printf "'\n"
    cat src/main.sh
} >lib/analyse
chmod 755 lib/analyse

mkdir try
printf 'date,precipitation,temp_max,temp_min,wind,weather\n2000/01/01,1.5,2.0,1.0,3.0,rain\n' >try/one.csv
(cd try && ../lib/analyse one.csv)
grep -q '^2000-01,1,1.5,2.0,1.0,3.00$' try/summary.csv || { echo "ERROR : the program fails its test" >&2; exit 1; }
rm -r try
echo "built lib/analyse"
