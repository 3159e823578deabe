// 16 x 16 x 16 products of a warp: tensor cores on devices; on the host emulator each lane computes eight entries of the result.
#pragma once
#include "../half.h"
#include "reduce.cuh"

#if defined(__CUDACC__)
#include <mma.h>

template <class T> struct so_matrix_number;
template <> struct so_matrix_number<so_half> {
  typedef __half type;
};
template <> struct so_matrix_number<so_bfloat> {
  typedef __nv_bfloat16 type;
};

struct so_matrix_sum {
  nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, 16, float> c;
  __device__ void clear() { nvcuda::wmma::fill_fragment(c, 0.0f); }
  __device__ void store(float* to, int ld) { nvcuda::wmma::store_matrix_sync(to, c, ld, nvcuda::wmma::mem_row_major); }
};

// sum += a b; a [16, 16] in rows lda apart, b [16, 16] likewise, or turned over.
template <bool turned, class T> __device__ void so_matrix_add(so_matrix_sum& sum, const T* a, int lda, const T* b, int ldb) {
  using namespace nvcuda;
  typedef typename so_matrix_number<T>::type number;
  typedef typename std::conditional<turned, wmma::col_major, wmma::row_major>::type order;
  wmma::fragment<wmma::matrix_a, 16, 16, 16, number, wmma::row_major> left;
  wmma::fragment<wmma::matrix_b, 16, 16, 16, number, order> right;
  wmma::load_matrix_sync(left, (const number*)a, lda);
  wmma::load_matrix_sync(right, (const number*)b, ldb);
  wmma::mma_sync(sum.c, left, right, sum.c);
}
#else
struct so_matrix_sum {
  float c[8];
  void clear() { memset(c, 0, sizeof c); }
  void store(float* to, int ld) {
    const int lane = threadIdx.x % SO_WARP;
    for (int j = 0; j < 8; ++j) to[lane / 2 * ld + lane % 2 * 8 + j] = c[j];
  }
};
template <bool turned, class T> void so_matrix_add(so_matrix_sum& sum, const T* a, int lda, const T* b, int ldb) {
  const int row = threadIdx.x % SO_WARP / 2, column = threadIdx.x % 2 * 8;
  for (int j = column; j < column + 8; ++j)
    for (int k = 0; k < 16; ++k) sum.c[j - column] += so_wide(a[row * lda + k]) * so_wide(turned ? b[j * ldb + k] : b[k * ldb + j]);
}
#endif
