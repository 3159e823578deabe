// Launches of the grid passes that treat every entry by itself. Multiply-adds are not fused: the bits of the CPU.
#include "device.h"
#include "grid_entries.cuh"

int so_grid_entries_cuda(const so_grid_call* calls, int64_t count, so_stream stream) {
  const so_device_guard guard(stream.device);
  so_with_kind(calls, count, [&](auto kind, const so_grid_call* chosen, int64_t n) {
    typedef decltype(kind) K;
    so_queue_entries<typename K::type, K::units>(chosen, n, [&](auto kernel, int64_t blocks, const auto& arguments) {
      kernel<<<(unsigned)blocks, SO_GRID_THREADS, 0, (cudaStream_t)stream.handle>>>(arguments);
    });
  });
  return (int)cudaGetLastError();
}
