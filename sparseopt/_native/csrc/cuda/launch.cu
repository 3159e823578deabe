// Launches of the CUDA kernels.
#include "device.h"
#include "projection.cuh"
#include "topk.cuh"

template <class T>
int so_project_nm_cuda(const T* w, T* out, const so_plane& p, int n, int m, so_stream stream) {
  const so_device_guard guard(stream.device);
  const int64_t count = so_projection_blocks((p.cols + m - 1) / m * p.rows);
  if (count > 0x7fffffff) return (int)cudaErrorInvalidConfiguration;
  so_queue_nm(w, out, p, n, m, [&](auto kernel, int64_t blocks, auto... arguments) {
    kernel<<<(unsigned)blocks, SO_PROJECTION_THREADS, 0, (cudaStream_t)stream.handle>>>(arguments...);
  });
  return (int)cudaGetLastError();
}

template <class T>
int so_project_library_cuda(const T* w, T* out, const so_plane& p, const so_library& l, so_stream stream) {
  const so_device_guard guard(stream.device);
  const int64_t count = so_projection_blocks((p.cols + l.c - 1) / l.c * ((p.rows + l.r - 1) / l.r));
  if (count > 0x7fffffff) return (int)cudaErrorInvalidConfiguration;
  so_library_kernel<T><<<(unsigned)count, SO_PROJECTION_THREADS, 0, (cudaStream_t)stream.handle>>>(w, out, p, l);
  return (int)cudaGetLastError();
}

#define SO_PROJECTIONS(T)                                                                                             \
  template int so_project_nm_cuda(const T*, T*, const so_plane&, int, int, so_stream);                      \
  template int so_project_library_cuda(const T*, T*, const so_plane&, const so_library&, so_stream);
SO_PROJECTIONS(float)
SO_PROJECTIONS(double)
SO_PROJECTIONS(so_bfloat)
SO_PROJECTIONS(so_half)

int64_t so_topk_cuda_bytes(int64_t rows, int64_t n) { return so_topk_workspace(rows, n); }

// Queues the kernels of `queue`, one after another.
template <class T, class Queue> int so_queue_topk(const so_topk_launch<T>& a, so_stream stream, Queue queue) {
  const so_device_guard guard(stream.device);
  if (a.shape.rows * so_topk_chunks(a.shape.n) > 0x7fffffff || a.shape.n > 0xffffffffll) return (int)cudaErrorInvalidConfiguration;
  queue(a, [&](auto kernel, int64_t blocks, const so_topk_launch<T>& arguments, int pass) {
    kernel<<<(unsigned)blocks, SO_TOPK_THREADS, 0, (cudaStream_t)stream.handle>>>(arguments, pass);
  });
  return (int)cudaGetLastError();
}

template <class T>
int so_topk_forward_cuda(const T* x, T* y, void* work, int32_t* codes, const so_topk_shape& shape, so_stream stream) {
  return so_queue_topk(so_topk_arguments(x, (const T*)nullptr, y, work, codes, shape), stream,
                       [](const auto& a, auto launch) { so_topk_queue_forward(a, launch); });
}

template <class T>
int so_topk_backward_cuda(const T* x, const T* g, T* out, void* work, const so_topk_shape& shape, so_stream stream) {
  return so_queue_topk(so_topk_arguments(x, g, out, work, (int32_t*)nullptr, shape), stream,
                       [](const auto& a, auto launch) { so_topk_queue_backward(a, launch); });
}

#define SO_TOPK_ON_DEVICE(T)                                                                                  \
  template int so_topk_forward_cuda(const T*, T*, void*, int32_t*, const so_topk_shape&, so_stream);          \
  template int so_topk_backward_cuda(const T*, const T*, T*, void*, const so_topk_shape&, so_stream);
SO_TOPK_ON_DEVICE(float)
SO_TOPK_ON_DEVICE(double)

const char* so_cuda_architectures() { return SO_CUDA_ARCHITECTURES; }
