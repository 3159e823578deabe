// Half types as their bits, for devices and hosts, and the types that passes compute in: float for half types.
#pragma once
#include <stdint.h>
#include <string.h>

#include "radial.h"  // SO_HD

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

struct so_bfloat {
  uint16_t bits;
};
struct so_half {
  uint16_t bits;
};

template <class T> struct so_working_type {
  typedef T type;
};
template <> struct so_working_type<so_bfloat> {
  typedef float type;
};
template <> struct so_working_type<so_half> {
  typedef float type;
};
template <class T> using so_working = typename so_working_type<T>::type;

SO_HD uint32_t so_bits_of(float a) {
  uint32_t bits;
  memcpy(&bits, &a, sizeof bits);
  return bits;
}
SO_HD float so_float_of(uint32_t bits) {
  float a;
  memcpy(&a, &bits, sizeof a);
  return a;
}

SO_HD float so_wide(float a) { return a; }
SO_HD double so_wide(double a) { return a; }
SO_HD float so_wide(so_bfloat a) { return so_float_of((uint32_t)a.bits << 16); }
SO_HD float so_wide(so_half a) {
#if defined(__CUDA_ARCH__)
  return __half2float(__ushort_as_half(a.bits));
#else
  const uint32_t sign = (uint32_t)(a.bits & 0x8000) << 16, rest = (uint32_t)(a.bits & 0x7fff) << 13;
  const uint32_t exponent = rest & 0x0f800000;
  if (exponent == 0x0f800000) return so_float_of(sign | (rest + 0x70000000));  // inf and NaN
  const float a_float = exponent ? so_float_of(rest + 0x38000000) : so_float_of(rest + 0x38800000) - so_float_of(0x38800000);
  return so_float_of(sign | so_bits_of(a_float));
#endif
}

// The nearest number of the type of *to, even in a tie.
SO_HD void so_round(float a, float* to) { *to = a; }
SO_HD void so_round(double a, float* to) { *to = (float)a; }
SO_HD void so_round(double a, double* to) { *to = a; }
SO_HD void so_round(float a, so_bfloat* to) {
#if defined(__CUDA_ARCH__)
  to->bits = __bfloat16_as_ushort(__float2bfloat16_rn(a));
#else
  const uint32_t x = so_bits_of(a);
  to->bits = a != a ? 0x7fff : (uint16_t)((x + 0x7fff + (x >> 16 & 1)) >> 16);
#endif
}
SO_HD void so_round(float a, so_half* to) {
#if defined(__CUDA_ARCH__)
  to->bits = __half_as_ushort(__float2half_rn(a));
#else
  const uint32_t sign = so_bits_of(a) >> 16 & 0x8000, x = so_bits_of(a) & 0x7fffffff;
  if (x > 0x7f800000) to->bits = 0x7fff;
  else if (x >= 0x47800000) to->bits = (uint16_t)(sign | 0x7c00);
  else if (x < 0x38800000) to->bits = (uint16_t)(sign | (so_bits_of(so_float_of(x) + 0.5f) - 0x3f000000));
  else to->bits = (uint16_t)(sign | (x - 0x38000000 + 0xfff + (x >> 13 & 1)) >> 13);
#endif
}
SO_HD void so_round(double a, so_bfloat* to) { so_round((float)a, to); }
SO_HD void so_round(double a, so_half* to) { so_round((float)a, to); }
template <class T, class A> SO_HD T so_narrow(A a) {
  T out;
  so_round(a, &out);
  return out;
}
