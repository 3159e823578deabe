// Launches of the block-sparse product.
#include "device.h"
#include "product_rows.cuh"

int so_product_cuda(const so_product_call& call, so_stream stream) {
  if (!so_product_fits(call)) return (int)cudaErrorInvalidValue;
  const so_device_guard guard(stream.device);
  so_queue_products(call, [&](auto kernel, int64_t blocks, int threads, const auto& arguments) {
    kernel<<<(unsigned)blocks, threads, 0, (cudaStream_t)stream.handle>>>(arguments);
  });
  return (int)cudaGetLastError();
}
