// Python bindings of Gram matrices: integers and pointers only, checked by sparseopt/_native/gram.py.
#include "gram.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/tuple.h>

#include <tuple>

namespace nb = nanobind;

namespace {

// is_float, n, ld, count, values, columns, mean, root
using columns = std::tuple<int, int64_t, int64_t, int64_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t>;
// lines, count, values, start, step, unit
using words = std::tuple<int64_t, int64_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t>;

so_gram_columns columns_of(const columns& c) {
  return {std::get<0>(c),
          std::get<1>(c),
          std::get<2>(c),
          std::get<3>(c),
          (const void*)std::get<4>(c),
          (const int64_t*)std::get<5>(c),
          (const double*)std::get<6>(c),
          (const double*)std::get<7>(c)};
}

void matrix(const words& c, uintptr_t H, uintptr_t rounded, int threads) {
  const so_gram_words x = {std::get<0>(c),
                           std::get<1>(c),
                           (const int16_t*)std::get<2>(c),
                           (const int64_t*)std::get<3>(c),
                           (const int64_t*)std::get<4>(c),
                           (const double*)std::get<5>(c)};
  nb::gil_scoped_release unlocked;
  so_gram_matrix(x, (double*)H, (double*)rounded, threads);
}

void product(const columns& from, const columns& to, uintptr_t v, int64_t k, uintptr_t out) {
  const so_gram_columns left = columns_of(from), right = columns_of(to);
  nb::gil_scoped_release unlocked;
  so_gram_product(left, right, (const double*)v, k, (double*)out);
}

}  // namespace

void so_define_gram(nb::module_& m) {
  m.def("gram_matrix", matrix, nb::arg("words").noconvert(), nb::arg("H").noconvert(), nb::arg("rounded").noconvert(),
        nb::arg("threads").noconvert());
  m.def("gram_product", product, nb::arg("from").noconvert(), nb::arg("to").noconvert(), nb::arg("v").noconvert(),
        nb::arg("k").noconvert(), nb::arg("out").noconvert());
}
