// The CUDA kernels on the host emulator, called by the tests through ctypes.
#include "emulator.h"

#include "projection.cuh"

#define SO_TOPK_THREADS 64  // two warps
#define SO_TOPK_CHUNK 512   // so that short rows have several
#include "topk.cuh"

#define SO_EXPORTED extern "C" __attribute__((visibility("default")))
#define SO_EMULATED_PROJECTIONS(T, suffix)                                                                                \
  SO_EXPORTED void so_emulated_nm_##suffix(const T* w, T* out, const int64_t* s, int n, int m) {                          \
    const so_plane p = {s[0], s[1], s[2], s[3]};                                                                          \
    so_queue_nm(w, out, p, n, m, [](auto kernel, int64_t blocks, auto... arguments) {                                     \
      emulator::launch((unsigned)blocks, SO_PROJECTION_THREADS, [=] { kernel(arguments...); });                           \
    });                                                                                                                   \
  }                                                                                                                       \
  SO_EXPORTED void so_emulated_library_##suffix(const T* w, T* out, const int64_t* s, int r, int c, int count,            \
                                                const uint64_t* masks) {                                                  \
    const so_plane p = {s[0], s[1], s[2], s[3]};                                                                          \
    const so_library l = {r, c, count, masks, false};                                                                     \
    const unsigned blocks = (unsigned)so_projection_blocks((p.cols + c - 1) / c * ((p.rows + r - 1) / r));                \
    emulator::launch(blocks, SO_PROJECTION_THREADS, [=] { so_library_kernel<T>(w, out, p, l); });                         \
  }
SO_EMULATED_PROJECTIONS(float, f32)
SO_EMULATED_PROJECTIONS(double, f64)
SO_EMULATED_PROJECTIONS(so_bfloat, bf16)
SO_EMULATED_PROJECTIONS(so_half, f16)

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
SO_EXPORTED int so_emulated_divergence() {
  try {
    emulator::launch(1, 64, [] {
      if (threadIdx.x < 40) __syncthreads();
    });
  } catch (const std::runtime_error&) {
    return 1;
  }
  return 0;
}
