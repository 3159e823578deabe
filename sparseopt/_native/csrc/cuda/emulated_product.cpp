// The CUDA kernels of the block-sparse product on the host emulator, called by the tests through ctypes.
#include "emulator.h"

#include "product_rows.cuh"

// p: values, x, bias, y, starts, at, order; s: n, outputs, inputs, b, count. Returns 1 where threads disagree about a barrier,
// 2 for what the kernels do not take.
extern "C" __attribute__((visibility("default"))) int so_emulated_product(int type, int transposed, void* const* p, const int64_t* s) {
  const so_product_call call = {type, transposed != 0, p[0], p[1], p[2], p[3], (const int32_t*)p[4], (const int32_t*)p[5],
                                (const int32_t*)p[6], s[0], s[1], s[2], s[3], s[4]};
  if (!so_product_fits(call)) return 2;
  try {
    so_queue_products(call, [](auto kernel, int64_t blocks, int threads, const auto& arguments) {
      emulator::launch((unsigned)blocks, (unsigned)threads, [=] { kernel(arguments); });
    });
  } catch (const std::runtime_error&) {
    return 1;
  }
  return 0;
}
