// The CUDA kernel: one thread block per block of the matrix. Compiled by nvcc for devices, and by the host compiler through
// emulator.h for tests. Sums are in double, in a fixed order: the same result in every run.
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

// Norm of a block at p, rows ld apart. Plain sums first; scaled by a power of two where squares may overflow or underflow.
template <class T> __device__ double so_block_norm(const T* p, int64_t ld, int64_t bc, int64_t size, double* shared) {
  double sum = 0.0, largest = 0.0;
  for (int64_t e = threadIdx.x; e < size; e += blockDim.x) {
    const double a = (double)p[e / bc * ld + e % bc];
    sum += a * a;
  }
  sum = so_reduce<SO_SUM>(sum, shared);
  if (sum >= 1e-280 && sum <= 1e300) return sqrt(sum);
  for (int64_t e = threadIdx.x; e < size; e += blockDim.x)
    largest = so_combine<SO_LARGEST>(fabs((double)p[e / bc * ld + e % bc]), largest);
  largest = so_reduce<SO_LARGEST>(largest, shared);
  if (largest == 0.0 || !(largest <= 1.7976931348623157e308)) return largest;
  const int exponent = ilogb(largest);
  sum = 0.0;
  for (int64_t e = threadIdx.x; e < size; e += blockDim.x) {
    const double a = scalbn((double)p[e / bc * ld + e % bc], -exponent);
    sum += a * a;
  }
  return scalbn(sqrt(so_reduce<SO_SUM>(sum, shared)), exponent);
}

// blockDim.x: a multiple of 32, at most 1024. step: on the device.
template <class T> __global__ void so_block_prox_kernel(const T* w, T* out, T* norms, so_blocks b, so_prox prox) {
  __shared__ double shared[SO_WARP];
  const int64_t across = b.cols / b.bc, i = blockIdx.x / across, j = blockIdx.x % across, size = b.br * b.bc;
  const T* p = w + i * b.br * b.ld + j * b.bc;
  T* q = out + i * b.br * b.ld_out + j * b.bc;
  const double v = so_block_norm(p, b.ld, b.bc, size, shared);
  const T scale = (T)so_radial_scale(prox.kind, prox.parameter, v, prox.step[prox.per_block ? blockIdx.x : 0]);
  if (norms && threadIdx.x == 0) norms[blockIdx.x] = (T)v;
  for (int64_t e = threadIdx.x; e < size; e += blockDim.x) {
    const int64_t row = e / b.bc, col = e % b.bc;
    q[row * b.ld_out + col] = scale == T(0) ? T(0) : p[row * b.ld + col] * scale;
  }
}

// Threads for one block of the matrix: a warp at least, four elements each.
SO_HD int so_threads_per_block(const so_blocks& b) {
  const int64_t warps = (b.br * b.bc + 4 * SO_WARP - 1) / (4 * SO_WARP);
  return (int)(warps < 8 ? warps : 8) * SO_WARP;
}
