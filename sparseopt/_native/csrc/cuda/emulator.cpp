// The CUDA kernels on the host emulator, called by the tests through ctypes.
#include "emulator.h"

#include "block.cuh"
#include "projection.cuh"

#define SO_TOPK_THREADS 64  // two warps
#define SO_TOPK_CHUNK 512   // so that short rows have several
#include "topk.cuh"

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

#define SO_EXPORTED extern "C" __attribute__((visibility("default")))
#define SO_EMULATED_PROJECTIONS(T, suffix)                                                                                \
  SO_EXPORTED void so_emulated_nm_##suffix(const T* w, T* out, const int64_t* s, int n, int m, int32_t* finite) {         \
    const so_plane p = {s[0], s[1], s[2], s[3]};                                                                          \
    so_queue_nm(w, out, p, n, m, finite, [](auto kernel, int64_t blocks, auto... arguments) {                             \
      emulator::launch((unsigned)blocks, SO_PROJECTION_THREADS, [=] { kernel(arguments...); });                           \
    });                                                                                                                   \
  }                                                                                                                       \
  SO_EXPORTED void so_emulated_library_##suffix(const T* w, T* out, const int64_t* s, int r, int c, int count,            \
                                                const uint64_t* masks, int32_t* finite) {                                 \
    const so_plane p = {s[0], s[1], s[2], s[3]};                                                                          \
    const so_library l = {r, c, count, masks, false};                                                                     \
    const unsigned blocks = (unsigned)so_projection_blocks((p.cols + c - 1) / c * ((p.rows + r - 1) / r));                \
    emulator::launch(blocks, SO_PROJECTION_THREADS, [=] { so_library_kernel<T>(w, out, p, l, finite); });                 \
  }
#define SO_EMULATED_KEEP(T, suffix)                                                                                       \
  SO_EXPORTED void so_emulated_keep_##suffix(const T* w, T* out, const int64_t* s, const uint8_t* kept) {                 \
    const so_blocks b = {s[0], s[1], s[2], s[3], s[4], s[5]};                                                             \
    const unsigned blocks = (unsigned)((b.rows / b.br) * (b.cols / b.bc));                                                \
    emulator::launch(blocks, so_threads_per_block(b), [=] { so_keep_kernel<T>(w, out, b, kept); });                       \
  }
SO_EMULATED_PROJECTIONS(float, f32)
SO_EMULATED_PROJECTIONS(double, f64)
SO_EMULATED_PROJECTIONS(so_bfloat, bf16)
SO_EMULATED_PROJECTIONS(so_half, f16)
SO_EMULATED_KEEP(float, f32)
SO_EMULATED_KEEP(double, f64)

SO_EXPORTED int64_t so_emulated_topk_bytes(int64_t rows, int64_t n) { return so_topk_workspace(rows, n); }

// s: rows, n, k. g: null in the forward pass.
template <class T> void run_topk(const T* x, const T* g, T* out, void* work, int32_t* codes, const int64_t* s, double tau) {
  const so_topk_launch<T> a = so_topk_arguments(x, g, out, work, codes, so_topk_shape{s[0], s[1], s[2], tau});
  const auto launch = [](auto kernel, int64_t blocks, const so_topk_launch<T>& arguments, int pass) {
    emulator::launch((unsigned)blocks, SO_TOPK_THREADS, [=] { kernel(arguments, pass); });
  };
  if (g) so_topk_queue_backward(a, launch);
  else so_topk_queue_forward(a, launch);
}
#define SO_EMULATED_TOPK(T, suffix)                                                                                        \
  SO_EXPORTED void so_emulated_topk_##suffix(const T* x, const T* g, T* out, void* work, int32_t* codes, const int64_t* s, \
                                             double tau) {                                                                 \
    run_topk(x, g, out, work, codes, s, tau);                                                                              \
  }
SO_EMULATED_TOPK(float, f32)
SO_EMULATED_TOPK(double, f64)

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
