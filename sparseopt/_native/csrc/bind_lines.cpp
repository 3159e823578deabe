// Python bindings of the passes over whole lines: integers and pointers only, checked by sparseopt/kernels.
#include "lines.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/tuple.h>

#include <tuple>

namespace nb = nanobind;

namespace {

using layout = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t>;  // rows, channels, taps, ld, br, bc

so_grid grid_of(const layout& l) {
  return {std::get<0>(l), std::get<1>(l), std::get<2>(l), std::get<3>(l), std::get<4>(l), std::get<5>(l)};
}

template <class T> void add(uintptr_t w, uintptr_t u, uintptr_t norms, uintptr_t squares, const layout& l, int threads) {
  nb::gil_scoped_release unlocked;
  so_lines_add(so_adding<T>{(const T*)w, (T*)u, (T*)norms, (so_squares*)squares}, grid_of(l), threads);
}

template <class T>
std::tuple<double, double> split(uintptr_t z, uintptr_t u, uintptr_t squares, uintptr_t kept, uintptr_t occupied,
                                 uintptr_t held, const layout& l, int threads) {
  double residuals[2];
  {
    nb::gil_scoped_release unlocked;
    const so_splitting<T> given = {(T*)z,          (T*)u, (const so_squares*)squares, (const uint8_t*)kept, (uint8_t*)occupied,
                                   (double*)held};
    so_lines_split(given, residuals, grid_of(l), threads);
  }
  return {residuals[0], residuals[1]};
}

template <class F> void define_add(nb::module_& m, const char* name, F* f) {
  m.def(name, f, nb::arg("w").noconvert(), nb::arg("u").noconvert(), nb::arg("norms").noconvert(),
        nb::arg("squares").noconvert(), nb::arg("grid").noconvert(), nb::arg("threads").noconvert());
}

template <class F> void define_split(nb::module_& m, const char* name, F* f) {
  m.def(name, f, nb::arg("z").noconvert(), nb::arg("u").noconvert(), nb::arg("squares").noconvert(), nb::arg("kept").noconvert(),
        nb::arg("occupied").noconvert(), nb::arg("held").noconvert(), nb::arg("grid").noconvert(), nb::arg("threads").noconvert());
}

}  // namespace

void so_define_lines(nb::module_& m) {
  define_add(m, "lines_add_f32", add<float>);
  define_add(m, "lines_add_f64", add<double>);
  define_split(m, "lines_split_f32", split<float>);
  define_split(m, "lines_split_f64", split<double>);
}
