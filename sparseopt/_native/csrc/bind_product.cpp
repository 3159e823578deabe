// Python bindings of the block-sparse product: integers and pointers only, checked by sparseopt/kernels.
#include "product.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/tuple.h>

#include <tuple>

namespace nb = nanobind;

namespace {

using matrix = std::tuple<uintptr_t, uintptr_t, uintptr_t, int64_t, int64_t, int64_t, int64_t>;

so_block_matrix matrix_of(const matrix& m) {
  return {(const float*)std::get<0>(m), (const int32_t*)std::get<1>(m), (const int32_t*)std::get<2>(m), std::get<3>(m),
          std::get<4>(m),               std::get<5>(m),                 std::get<6>(m)};
}

bool product(const matrix& given, uintptr_t x, uintptr_t bias, uintptr_t y, int64_t n, int threads) {
  const so_block_matrix w = matrix_of(given);
  nb::gil_scoped_release unlocked;
  if (!so_block_matrix_valid(w)) return false;
  so_block_product(w, (const float*)x, (const float*)bias, (float*)y, n, threads);
  return true;
}

bool product_transposed(const matrix& given, uintptr_t x, uintptr_t y, int64_t n, int threads) {
  const so_block_matrix w = matrix_of(given);
  nb::gil_scoped_release unlocked;
  if (!so_block_matrix_valid(w)) return false;
  so_block_product_transposed(w, (const float*)x, (float*)y, n, threads);
  return true;
}

}  // namespace

void so_define_product(nb::module_& m) {
  m.def("block_product_f32", product, nb::arg("matrix").noconvert(), nb::arg("x").noconvert(), nb::arg("bias").noconvert(),
        nb::arg("y").noconvert(), nb::arg("n").noconvert(), nb::arg("threads").noconvert());
  m.def("block_product_transposed_f32", product_transposed, nb::arg("matrix").noconvert(), nb::arg("x").noconvert(),
        nb::arg("y").noconvert(), nb::arg("n").noconvert(), nb::arg("threads").noconvert());
}
