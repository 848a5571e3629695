# Days by amount of rain, in steps of 5 mm: lower edge and number of days.
FNR == 1 { next }
{ count[int($2 / 5) * 5]++ }
END { for (edge in count) print edge, count[edge] }
