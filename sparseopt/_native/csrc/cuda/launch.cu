// Launches of the CUDA kernels.
#include "block.cuh"

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

const char* so_cuda_architectures() { return SO_CUDA_ARCHITECTURES; }
