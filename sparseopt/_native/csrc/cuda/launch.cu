// Launches of the CUDA kernels.
#include "block.cuh"
#include "projection.cuh"

#include <cuda_runtime.h>

namespace {

// Switches to a device and back.
struct device_guard {
  int before = -1, wanted;
  explicit device_guard(int device) : wanted(device) {
    cudaGetDevice(&before);
    if (before != wanted) cudaSetDevice(wanted);
  }
  ~device_guard() {
    if (before != wanted && before >= 0) cudaSetDevice(before);
  }
};

}  // namespace

template <class T>
int so_block_prox_cuda(const T* w, T* out, T* norms, const so_blocks& b, const so_prox& prox, so_stream stream) {
  const device_guard guard(stream.device);
  const int64_t count = (b.rows / b.br) * (b.cols / b.bc);
  if (count > 0x7fffffff) return (int)cudaErrorInvalidConfiguration;
  so_block_prox_kernel<T><<<(unsigned)count, so_threads_per_block(b), 0, (cudaStream_t)stream.handle>>>(w, out, norms, b, prox);
  return (int)cudaGetLastError();
}

template int so_block_prox_cuda(const float*, float*, float*, const so_blocks&, const so_prox&, so_stream);
template int so_block_prox_cuda(const double*, double*, double*, const so_blocks&, const so_prox&, so_stream);

template <class T>
int so_project_nm_cuda(const T* w, T* out, const so_plane& p, int n, int m, int32_t* finite, so_stream stream) {
  const device_guard guard(stream.device);
  const int64_t count = so_projection_blocks((p.cols + m - 1) / m * p.rows);
  if (count > 0x7fffffff) return (int)cudaErrorInvalidConfiguration;
  so_nm_kernel<T><<<(unsigned)count, SO_PROJECTION_THREADS, 0, (cudaStream_t)stream.handle>>>(w, out, p, n, m, finite);
  return (int)cudaGetLastError();
}

template <class T>
int so_project_library_cuda(const T* w, T* out, const so_plane& p, const so_library& l, int32_t* finite, so_stream stream) {
  const device_guard guard(stream.device);
  const int64_t count = so_projection_blocks((p.cols + l.c - 1) / l.c * ((p.rows + l.r - 1) / l.r));
  if (count > 0x7fffffff) return (int)cudaErrorInvalidConfiguration;
  so_library_kernel<T><<<(unsigned)count, SO_PROJECTION_THREADS, 0, (cudaStream_t)stream.handle>>>(w, out, p, l, finite);
  return (int)cudaGetLastError();
}

template <class T> int so_keep_blocks_cuda(const T* w, T* out, const so_blocks& b, const uint8_t* kept, so_stream stream) {
  const device_guard guard(stream.device);
  const int64_t count = (b.rows / b.br) * (b.cols / b.bc);
  if (count > 0x7fffffff) return (int)cudaErrorInvalidConfiguration;
  so_keep_kernel<T><<<(unsigned)count, so_threads_per_block(b), 0, (cudaStream_t)stream.handle>>>(w, out, b, kept);
  return (int)cudaGetLastError();
}

#define SO_PROJECTIONS(T)                                                                                             \
  template int so_project_nm_cuda(const T*, T*, const so_plane&, int, int, int32_t*, so_stream);                      \
  template int so_project_library_cuda(const T*, T*, const so_plane&, const so_library&, int32_t*, so_stream);        \
  template int so_keep_blocks_cuda(const T*, T*, const so_blocks&, const uint8_t*, so_stream);
SO_PROJECTIONS(float)
SO_PROJECTIONS(double)

const char* so_cuda_architectures() { return SO_CUDA_ARCHITECTURES; }
