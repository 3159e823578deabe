// The CUDA kernels of the grid passes on the host emulator, called by the tests through ctypes.
#include "emulator.h"

#include "grid_blocks.cuh"
#include "grid_entries.cuh"

#define SO_EXPORTED extern "C" __attribute__((visibility("default")))

SO_EXPORTED int64_t so_emulated_grid_work(const int64_t* g) { return 2 + 2 * so_residual_parts({g[0], g[1], g[2], g[3], g[4], g[5]}); }
SO_EXPORTED int so_emulated_grid_takes(const int64_t* g) { return so_grid_fits({g[0], g[1], g[2], g[3], g[4], g[5]}); }

// Of count calls, one after another, p: four matrices, values, results, work, step; per_block; g: the grid; launches: how many
// kernels ran. Returns 1 where threads disagree about a barrier.
SO_EXPORTED int so_emulated_grid(int pass, int type, int64_t count, void* const* p, double number, int kind, double parameter,
                                 const int* per_block, const int64_t* g, int* launches) {
  std::vector<so_grid_call> calls;
  for (int64_t i = 0; i < count; ++i, p += 8, g += 6)
    calls.push_back({pass, type, {p[0], p[1], p[2], p[3]}, p[4], p[5], (double*)p[6], number,
                     {kind, parameter, (const double*)p[7], per_block[i] != 0}, {g[0], g[1], g[2], g[3], g[4], g[5]}});
  const auto launch = [&](auto kernel, int64_t blocks, const auto& arguments) {
    ++*launches;
    emulator::launch((unsigned)blocks, SO_GRID_THREADS, [&] { kernel(arguments); });
  };
  try {
    so_with_kind(calls.data(), count, [&](auto kind_of, const so_grid_call* chosen, int64_t n) {
      typedef decltype(kind_of) K;
      if (pass <= SO_PASS_POWER_VJP) so_queue_blocks<typename K::type, K::units>(chosen, n, launch);
      else so_queue_entries<typename K::type, K::units>(chosen, n, launch);
    });
  } catch (const std::runtime_error&) {
    return 1;
  }
  return 0;
}

// to [n] = from [n] / by, and where unit k of a thread of an entry pass lies: row, offset, column, 1 if it is there.
SO_EXPORTED void so_emulated_divide(const int64_t* from, int64_t by, int64_t* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = so_divide_long(from[i], so_make_divisor(by));
}
SO_EXPORTED void so_emulated_place(const int64_t* g, int64_t block, int thread, int k, int64_t* to) {
  so_grid_call call = {};
  call.grid = {g[0], g[1], g[2], g[3], g[4], g[5]};
  emulator::m.current = (unsigned)thread;
  const so_place p = so_unit_place<4>(so_grid_arguments<float, 4>(call), block, k);
  to[0] = p.row, to[1] = p.at, to[2] = p.column, to[3] = p.there;
}

// Conversions between float and the half types, as hosts do them: to [n] <- from [n].
SO_EXPORTED void so_emulated_widen(int type, const uint16_t* from, float* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = type == SO_BFLOAT16 ? so_wide(so_bfloat{from[i]}) : so_wide(so_half{from[i]});
}
SO_EXPORTED void so_emulated_narrow(int type, const float* from, uint16_t* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i)
    to[i] = type == SO_BFLOAT16 ? so_narrow<so_bfloat>(from[i]).bits : so_narrow<so_half>(from[i]).bits;
}
