// Norms of blocks whose plain sums of squares lost digits to overflow or underflow.
#pragma once
#include <float.h>
#include <math.h>
#include <stdint.h>

// Whether a sum of squares that was taken in T lost nothing.
inline bool so_safe(float, double sum) { return sum >= 1e-30 && sum <= 1e38; }
inline bool so_safe(double, double sum) { return sum >= 1e-280 && sum <= 1e308; }

// The norm of a block with entries at(i, j), scaled by a power of two; NaN or inf where an entry is that.
template <class At> double so_careful_norm(int64_t rows, int64_t cols, At at) {
  double largest = 0;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < cols; ++j) {
      const double a = fabs(at(i, j));
      if (isnan(a)) return a;
      largest = a > largest ? a : largest;
    }
  if (largest == 0 || isinf(largest)) return largest;
  const int exponent = ilogb(largest);
  double sum = 0;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < cols; ++j) {
      const double a = scalbn(at(i, j), -exponent);
      sum += a * a;
    }
  return scalbn(sqrt(sum), exponent);
}
