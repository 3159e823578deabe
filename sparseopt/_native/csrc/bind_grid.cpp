// Python bindings of the passes over grids of blocks: integers and pointers only, checked by sparseopt/kernels.
#include "grid.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/tuple.h>

#include <tuple>

namespace nb = nanobind;

namespace {

using layout = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t>;  // rows, channels, taps, ld, br, bc

so_grid grid_of(const layout& l) {
  return {std::get<0>(l), std::get<1>(l), std::get<2>(l), std::get<3>(l), std::get<4>(l), std::get<5>(l)};
}

template <class T> void dots(uintptr_t a, uintptr_t b, uintptr_t out, const layout& l, int threads) {
  nb::gil_scoped_release unlocked;
  so_grid_dots((const T*)a, (const T*)b, (T*)out, grid_of(l), threads);
}

template <class T> void sum_norms(uintptr_t a, uintptr_t b, uintptr_t out, const layout& l, int threads) {
  nb::gil_scoped_release unlocked;
  so_grid_sum_norms((const T*)a, (const T*)b, (T*)out, grid_of(l), threads);
}

template <class T> void scale(uintptr_t w, uintptr_t s, uintptr_t out, const layout& l, int threads) {
  nb::gil_scoped_release unlocked;
  so_grid_scale((const T*)w, (const T*)s, (T*)out, grid_of(l), threads);
}

template <class T> void mask(uintptr_t w, uintptr_t kept, uintptr_t out, const layout& l, int threads) {
  nb::gil_scoped_release unlocked;
  so_grid_mask((const T*)w, (const uint8_t*)kept, (T*)out, grid_of(l), threads);
}

template <class T>
void scale_vjp(uintptr_t w, uintptr_t g, uintptr_t s, uintptr_t dw, uintptr_t ds, const layout& l, int threads) {
  nb::gil_scoped_release unlocked;
  so_grid_scale_vjp((const T*)w, (const T*)g, (const T*)s, (T*)dw, (T*)ds, grid_of(l), threads);
}

template <class T>
std::tuple<double, double> admm(uintptr_t w, uintptr_t z, uintptr_t u, uintptr_t kept, const layout& l, int threads) {
  double residuals[2];
  {
    nb::gil_scoped_release unlocked;
    so_grid_admm(so_triple<T>{(const T*)w, (T*)z, (T*)u, (const uint8_t*)kept}, residuals, grid_of(l), threads);
  }
  return {residuals[0], residuals[1]};
}

template <class T> void add_scaled(uintptr_t w, uintptr_t s, uintptr_t g, const layout& l, int threads) {
  nb::gil_scoped_release unlocked;
  so_grid_add_scaled((const T*)w, (const T*)s, (T*)g, grid_of(l), threads);
}

template <class T>
void augment(uintptr_t w, uintptr_t z, uintptr_t u, uintptr_t g, double rho, const layout& l, int threads) {
  nb::gil_scoped_release unlocked;
  so_grid_augment(so_triple<T>{(const T*)w, (T*)z, (T*)u, nullptr}, (T*)g, rho, grid_of(l), threads);
}

template <class T> void decay(uintptr_t w, uintptr_t g, uintptr_t kept, double pull, const layout& l, int threads) {
  nb::gil_scoped_release unlocked;
  so_grid_decay((const T*)w, (T*)g, (const uint8_t*)kept, pull, grid_of(l), threads);
}

template <class F> void define_three(nb::module_& m, const char* name, F* f) {
  m.def(name, f, nb::arg("a").noconvert(), nb::arg("b").noconvert(), nb::arg("out").noconvert(), nb::arg("grid").noconvert(),
        nb::arg("threads").noconvert());
}

template <class F> void define_vjp(nb::module_& m, const char* name, F* f) {
  m.def(name, f, nb::arg("w").noconvert(), nb::arg("g").noconvert(), nb::arg("scale").noconvert(), nb::arg("dw").noconvert(),
        nb::arg("dscale").noconvert(), nb::arg("grid").noconvert(), nb::arg("threads").noconvert());
}

template <class F> void define_admm(nb::module_& m, const char* name, F* f) {
  m.def(name, f, nb::arg("w").noconvert(), nb::arg("z").noconvert(), nb::arg("u").noconvert(), nb::arg("kept").noconvert(),
        nb::arg("grid").noconvert(), nb::arg("threads").noconvert());
}

template <class F> void define_augment(nb::module_& m, const char* name, F* f) {
  m.def(name, f, nb::arg("w").noconvert(), nb::arg("z").noconvert(), nb::arg("u").noconvert(), nb::arg("g").noconvert(),
        nb::arg("rho").noconvert(), nb::arg("grid").noconvert(), nb::arg("threads").noconvert());
}

template <class F> void define_decay(nb::module_& m, const char* name, F* f) {
  m.def(name, f, nb::arg("w").noconvert(), nb::arg("g").noconvert(), nb::arg("kept").noconvert(), nb::arg("pull").noconvert(),
        nb::arg("grid").noconvert(), nb::arg("threads").noconvert());
}

}  // namespace

void so_define_grid(nb::module_& m) {
  define_three(m, "grid_dots_f32", dots<float>);
  define_three(m, "grid_dots_f64", dots<double>);
  define_three(m, "grid_sum_norms_f32", sum_norms<float>);
  define_three(m, "grid_sum_norms_f64", sum_norms<double>);
  define_three(m, "grid_scale_f32", scale<float>);
  define_three(m, "grid_scale_f64", scale<double>);
  define_three(m, "grid_mask_f32", mask<float>);
  define_three(m, "grid_mask_f64", mask<double>);
  define_three(m, "grid_add_scaled_f32", add_scaled<float>);
  define_three(m, "grid_add_scaled_f64", add_scaled<double>);
  define_vjp(m, "grid_scale_vjp_f32", scale_vjp<float>);
  define_vjp(m, "grid_scale_vjp_f64", scale_vjp<double>);
  define_admm(m, "grid_admm_f32", admm<float>);
  define_admm(m, "grid_admm_f64", admm<double>);
  define_augment(m, "grid_augment_f32", augment<float>);
  define_augment(m, "grid_augment_f64", augment<double>);
  define_decay(m, "grid_decay_f32", decay<float>);
  define_decay(m, "grid_decay_f64", decay<double>);
}
