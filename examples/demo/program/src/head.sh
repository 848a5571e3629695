#!/bin/sh
# analyse FILE,FILE,...: writes summary.csv and histogram.txt of daily weather.
set -eu
