// Launches of the grid passes that treat every entry by itself. Multiply-adds are not fused: the bits of the CPU.
#include "device.h"
#include "grid_entries.cuh"

int so_grid_entries_cuda(const so_grid_call& call, so_stream stream) {
  const so_device_guard guard(stream.device);
  so_with_kind(call, false, [&](auto kind) {
    typedef decltype(kind) K;
    so_queue_entries<typename K::type, K::units>(call, [&](auto kernel, int64_t blocks, auto... arguments) {
      kernel<<<(unsigned)blocks, SO_GRID_THREADS, 0, (cudaStream_t)stream.handle>>>(arguments...);
    });
  });
  return (int)cudaGetLastError();
}
