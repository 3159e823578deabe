// Python bindings of the grid passes and of the block-sparse product on CUDA devices: one function for all passes and types,
// checked by sparseopt/kernels.
#include "grid.h"
#include "product.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <tuple>
#include <vector>

namespace nb = nanobind;

namespace {

using layout = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t>;          // rows, channels, taps, ld, br, bc
using matrices = std::tuple<uintptr_t, uintptr_t, uintptr_t, uintptr_t>;
using over_blocks = std::tuple<uintptr_t, uintptr_t, uintptr_t>;                          // values, results, work
using radial = std::tuple<int, double, uintptr_t, bool>;                                  // kind, parameter, step, per_block

so_grid grid_of(const layout& l) {
  return {std::get<0>(l), std::get<1>(l), std::get<2>(l), std::get<3>(l), std::get<4>(l), std::get<5>(l)};
}

using given = std::tuple<matrices, over_blocks, radial, layout>;

int run(int pass, int type, double number, const std::vector<given>& list, int device, uintptr_t stream) {
  std::vector<so_grid_call> calls;
  for (const auto& [m, b, r, l] : list)
    calls.push_back({pass,
                     type,
                     {(void*)std::get<0>(m), (void*)std::get<1>(m), (void*)std::get<2>(m), (void*)std::get<3>(m)},
                     (const void*)std::get<0>(b),
                     (void*)std::get<1>(b),
                     (double*)std::get<2>(b),
                     number,
                     {std::get<0>(r), std::get<1>(r), (const double*)std::get<2>(r), std::get<3>(r)},
                     grid_of(l)});
  nb::gil_scoped_release unlocked;
  return so_grid_cuda(calls.data(), (int64_t)calls.size(), so_stream{device, (void*)stream});
}

using addresses = std::tuple<uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t>;
using sizes = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t>;  // n, outputs, inputs, b, count

int product(int type, bool transposed, const addresses& p, const sizes& s, int device, uintptr_t stream) {
  const so_product_call call = {type,
                                transposed,
                                (const void*)std::get<0>(p),
                                (const void*)std::get<1>(p),
                                (const void*)std::get<2>(p),
                                (void*)std::get<3>(p),
                                (const int32_t*)std::get<4>(p),
                                (const int32_t*)std::get<5>(p),
                                (const int32_t*)std::get<6>(p),
                                std::get<0>(s),
                                std::get<1>(s),
                                std::get<2>(s),
                                std::get<3>(s),
                                std::get<4>(s)};
  nb::gil_scoped_release unlocked;
  return so_product_cuda(call, so_stream{device, (void*)stream});
}

}  // namespace

void so_define_grid_cuda(nb::module_& m) {
  m.def("grid_cuda", run, nb::arg("pass_").noconvert(), nb::arg("type").noconvert(), nb::arg("number").noconvert(),
        nb::arg("calls").noconvert(), nb::arg("device").noconvert(), nb::arg("stream").noconvert());
  m.def("grid_cuda_work", [](const layout& l) { return so_grid_cuda_work(grid_of(l)); }, nb::arg("grid").noconvert());
  m.def("grid_cuda_takes", [](const layout& l) { return so_grid_cuda_takes(grid_of(l)); }, nb::arg("grid").noconvert());
  m.def("product_cuda", product, nb::arg("type").noconvert(), nb::arg("transposed").noconvert(), nb::arg("tensors").noconvert(),
        nb::arg("sizes").noconvert(), nb::arg("device").noconvert(), nb::arg("stream").noconvert());
}
