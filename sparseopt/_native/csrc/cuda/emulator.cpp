// The CUDA kernels on the host emulator, called by the tests through ctypes.
#include "emulator.h"

#include "block.cuh"

namespace {

template <class T> int run(const T* w, T* out, T* norms, const int64_t* shape, int kind, double parameter, const double* step, int per_block) {
  const so_blocks b = {shape[0], shape[1], shape[2], shape[3], shape[4], shape[5]};
  const so_prox prox = {kind, parameter, step, per_block != 0};
  const unsigned count = (unsigned)((b.rows / b.br) * (b.cols / b.bc));
  try {
    emulator::launch(count, so_threads_per_block(b), [=] { so_block_prox_kernel<T>(w, out, norms, b, prox); });
  } catch (const std::runtime_error&) {
    return 1;
  }
  return 0;
}

}  // namespace

#define SO_EMULATED(T, name)                                                                                            \
  extern "C" __attribute__((visibility("default"))) int name(const T* w, T* out, T* norms, const int64_t* shape, int kind, \
                                                             double parameter, const double* step, int per_block) {     \
    return run(w, out, norms, shape, kind, parameter, step, per_block);                                                 \
  }
SO_EMULATED(float, so_emulated_block_prox_f32)
SO_EMULATED(double, so_emulated_block_prox_f64)

// A kernel whose threads disagree about a barrier: the emulator must say so. Returns 1 when it did.
extern "C" __attribute__((visibility("default"))) int so_emulated_divergence() {
  try {
    emulator::launch(1, 64, [] {
      if (threadIdx.x < 40) __syncthreads();
    });
  } catch (const std::runtime_error&) {
    return 1;
  }
  return 0;
}
