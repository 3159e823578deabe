// What the CUDA kernels share: words that the host compiler reads otherwise (emulator.h), and sums over a thread block in
// double, in a fixed order: the same result in every run.
#pragma once
#include "../block.h"
#include "../radial.h"

#define SO_WARP 32
#define SO_FULL_WARP 0xffffffffu

#if defined(__CUDACC__)
#define SO_UNROLL _Pragma("unroll")
#define SO_UNROLL_SOME _Pragma("unroll 4")
#define SO_DEVICE_MEMBER __device__
#define SO_ARGUMENTS const __grid_constant__
#define SO_MEMBER static __host__ __device__ __forceinline__
#else
#define SO_UNROLL
#define SO_UNROLL_SOME
#define SO_DEVICE_MEMBER
#define SO_ARGUMENTS const
#define SO_MEMBER static inline
#endif

enum so_reduction { SO_SUM, SO_LARGEST };

template <so_reduction op> SO_HD double so_combine(double a, double b) {
  if (op == SO_SUM) return a + b;
  return a >= b || a != a ? a : b;  // NaN wins
}

// Reduce one number per thread over the thread block; every thread gets the result.
template <so_reduction op> __device__ double so_reduce(double a, double* shared) {
  for (int d = SO_WARP / 2; d; d /= 2) a = so_combine<op>(a, __shfl_xor_sync(SO_FULL_WARP, a, d));
  __syncthreads();  // the last reduction may still be read
  if (threadIdx.x % SO_WARP == 0) shared[threadIdx.x / SO_WARP] = a;
  __syncthreads();
  double total = shared[0];
  for (unsigned k = 1; k < blockDim.x / SO_WARP; ++k) total = so_combine<op>(total, shared[k]);
  return total;
}
