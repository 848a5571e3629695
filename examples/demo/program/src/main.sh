files=$(printf '%s' "${1:?files are missing}" | tr , ' ')
# Names of input files have no blanks: the list may be cut at them.
echo "analysing $(printf '%s\n' $files | wc -l) files"
{
    echo "month,days,rain_mm,highest_c,lowest_c,mean_wind"
    awk -F, "$SUMMARY" $files | sort
} >summary.csv
awk -F, "$HISTOGRAM" $files | sort -n >histogram.txt
echo "days: $(awk '{ n += $2 } END { print n + 0 }' histogram.txt)"
