// Launches of the grid passes with a sum over each block.
#include "device.h"
#include "grid_blocks.cuh"

int so_grid_entries_cuda(const so_grid_call& call, so_stream stream);  // grid_entries.cu

int64_t so_grid_cuda_work(const so_grid& grid) { return 2 + 2 * so_residual_parts(grid); }
bool so_grid_cuda_takes(const so_grid& grid) { return so_grid_fits(grid); }

int so_grid_cuda(const so_grid_call& call, so_stream stream) {
  if (!so_grid_fits(call.grid)) return (int)cudaErrorInvalidValue;
  if (call.pass > SO_PASS_PROX) return so_grid_entries_cuda(call, stream);
  const so_device_guard guard(stream.device);
  so_with_kind(call, true, [&](auto kind) {
    typedef decltype(kind) K;
    so_queue_blocks<typename K::type, K::units>(call, [&](auto kernel, int64_t blocks, const auto& arguments) {
      kernel<<<(unsigned)blocks, SO_GRID_THREADS, 0, (cudaStream_t)stream.handle>>>(arguments);
    });
  });
  return (int)cudaGetLastError();
}
