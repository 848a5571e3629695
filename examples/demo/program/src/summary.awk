# One line a month. Fields: date, rain, highest, lowest temperature, wind.
FNR == 1 { next }
{
    month = substr($1, 1, 4) "-" substr($1, 6, 2)
    if (!(month in days)) { highest[month] = $3; lowest[month] = $4 }
    days[month]++
    rain[month] += $2
    if ($3 + 0 > highest[month] + 0) highest[month] = $3
    if ($4 + 0 < lowest[month] + 0) lowest[month] = $4
    wind[month] += $5
}
END {
    for (month in days)
        printf "%s,%d,%.1f,%.1f,%.1f,%.2f\n", month, days[month], rain[month], highest[month], lowest[month], wind[month] / days[month]
}
