// Norms of blocks whose plain sums of squares lost digits to overflow or underflow.
#pragma once
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include <type_traits>

// Whether a sum of squares that was taken in T lost nothing.
static inline bool so_safe(float, double sum) { return sum >= 1e-30 && sum <= 1e38; }
static inline bool so_safe(double, double sum) { return sum >= 1e-280 && sum <= 1e308; }

// Whether a block is 0, as most of a pruned matrix that come to the careful norm: its bits, without the signs, taken together.
template <class T> bool so_all_zero(const T* w, int64_t rows, int64_t cols, int64_t ld) {
  typedef std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t> word;
  word bits = 0;
  for (int64_t i = 0; i < rows && !bits; ++i, w += ld)
    for (int64_t j = 0; j < cols; ++j) {
      word x;
      memcpy(&x, w + j, sizeof x);
      bits |= x << 1;
    }
  return bits == 0;
}

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
