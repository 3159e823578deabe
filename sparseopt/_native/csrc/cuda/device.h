// What launches share.
#pragma once
#include "../block.h"

#include <cuda_runtime.h>

// Switches to a device and back.
struct so_device_guard {
  int before = -1, wanted;
  explicit so_device_guard(int device) : wanted(device) {
    cudaGetDevice(&before);
    if (before != wanted) cudaSetDevice(wanted);
  }
  ~so_device_guard() {
    if (before != wanted && before >= 0) cudaSetDevice(before);
  }
};
