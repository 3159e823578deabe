// Launches of the grid passes with a sum over each block.
#include "device.h"
#include "grid_blocks.cuh"

int so_grid_entries_cuda(const so_grid_call* calls, int64_t count, so_stream stream);  // grid_entries.cu

int64_t so_grid_cuda_work(const so_grid& grid) { return 2 + 2 * so_residual_parts(grid); }
bool so_grid_cuda_takes(const so_grid& grid) { return so_grid_fits(grid); }

int so_grid_cuda(const so_grid_call* calls, int64_t count, so_stream stream) {
  for (int64_t i = 0; i < count; ++i)
    if (!so_grid_fits(calls[i].grid)) return (int)cudaErrorInvalidValue;
  if (count == 0) return 0;
  if (calls->pass > SO_PASS_POWER_VJP) return so_grid_entries_cuda(calls, count, stream);
  const so_device_guard guard(stream.device);
  so_with_kind(calls, count, [&](auto kind, const so_grid_call* chosen, int64_t n) {
    typedef decltype(kind) K;
    so_queue_blocks<typename K::type, K::units>(chosen, n, [&](auto kernel, int64_t blocks, const auto& arguments) {
      kernel<<<(unsigned)blocks, SO_GRID_THREADS, 0, (cudaStream_t)stream.handle>>>(arguments);
    });
  });
  return (int)cudaGetLastError();
}
