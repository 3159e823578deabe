#include "isa.h"

#include "../block.h"

#include <stdlib.h>

#ifdef SO_MULTI_ISA
int so_isa_available() {
  __builtin_cpu_init();
  if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))) return 0;
  const bool v4 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd");
  return v4 ? 4 : 3;
}
#else
int so_isa_available() { return 0; }
#endif

int so_isa_level() {
  static const int level = [] {
    const char* wanted = getenv("SPARSEOPT_ISA");
    const int most = so_isa_available();
    return wanted && *wanted && atoi(wanted) < most ? atoi(wanted) : most;
  }();
  return level;
}
