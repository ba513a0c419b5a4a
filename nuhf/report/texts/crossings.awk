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
    if ((a <= 0) != (b <= 0)) printf "%.6g\n", u[k - 1] + (u[k] - u[k - 1]) * a / (a - b)
  }
}
