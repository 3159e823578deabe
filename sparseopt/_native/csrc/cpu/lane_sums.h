// Sums in double precision, in an order that depends on the number of terms alone.
#pragma once
#include <stdint.h>

// Of n numbers, in 8 lanes. Each unit has its own, for its instruction set.
template <class T> static inline double so_lane_sum(const T* x, int64_t n) {
  double lanes[8] = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int l = 0; l < 8; ++l) lanes[l] += (double)x[i + l];
  for (int l = 0; i + l < n; ++l) lanes[l] += (double)x[i + l];
  for (int l = 4; l; l /= 2)
    for (int k = 0; k < l; ++k) lanes[k] += lanes[k + l];
  return lanes[0];
}
