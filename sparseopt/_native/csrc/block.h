// Interface of the compiled core: the blocks of a matrix, their norms, and the radial prox on them. Pointers and sizes only.
#pragma once
#include <stdint.h>

// Matrix [rows, cols] with row strides ld (input) and ld_out (output), in elements, cut into blocks br x bc that divide it.
struct so_blocks {
  int64_t rows, cols, ld, ld_out, br, bc;
};

// A scalar penalty (radial.h) and its step: one for all blocks (per_block false) or an array [rows / br, cols / bc].
struct so_prox {
  int kind;
  double parameter;
  const double* step;
  bool per_block;
};

// norms [rows / br, cols / bc] may be null in so_block_prox; out may be w. threads <= 0: as many as OpenMP offers.
// Results do not depend on the number of threads.
template <class T> void so_block_norms(const T* w, T* norms, const so_blocks& blocks, int threads);
template <class T> void so_block_prox(const T* w, T* out, T* norms, const so_blocks& blocks, const so_prox& prox, int threads);

const char* so_isa_in_use();
int so_isa_available();  // 0 baseline, 3, 4
int so_threads();        // OpenMP's own choice; 1 without OpenMP

// Where a CUDA kernel is queued. What queues one returns the code of cudaGetLastError; -1 where CUDA was not compiled in.
struct so_stream {
  int device;
  void* handle;
};
const char* so_cuda_architectures();  // "" where CUDA was not compiled in
