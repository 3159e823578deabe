// Python bindings of the passes over grids of blocks: integers and pointers only, checked by sparseopt/kernels. Every operand is
// a list of addresses, one for each matrix.
#include "grid.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <tuple>
#include <vector>

namespace nb = nanobind;

namespace {

using layout = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t>;  // rows, channels, taps, ld, br, bc
using layouts = std::vector<layout>;
using addresses = std::vector<uintptr_t>;

// The layouts as the core takes them. Without the interpreter's lock while it lives.
struct work {
  std::vector<so_grid> held;
  so_grids grids;
  nb::gil_scoped_release unlocked;
  work(const layouts& given, int threads) {
    for (const layout& l : given)
      held.push_back({std::get<0>(l), std::get<1>(l), std::get<2>(l), std::get<3>(l), std::get<4>(l), std::get<5>(l)});
    grids = {held.data(), (int64_t)held.size(), threads};
  }
};

template <class T> const T* const* in(const addresses& a) { return (const T* const*)a.data(); }
template <class T> T* const* out(const addresses& a) { return (T* const*)a.data(); }

template <class T> void dots(const addresses& a, const addresses& b, const addresses& to, const layouts& l, int threads) {
  so_grid_dots(in<T>(a), in<T>(b), out<T>(to), work(l, threads).grids);
}

template <class T> void norms(const addresses& w, const addresses& to, const layouts& l, int threads) {
  so_grid_norms(in<T>(w), out<T>(to), work(l, threads).grids);
}

template <class T> void sum_norms(const addresses& a, const addresses& b, const addresses& to, const layouts& l, int threads) {
  so_grid_sum_norms(in<T>(a), in<T>(b), out<T>(to), work(l, threads).grids);
}

template <class T> void scale(const addresses& w, const addresses& s, const addresses& to, const layouts& l, int threads) {
  so_grid_scale(in<T>(w), in<T>(s), out<T>(to), work(l, threads).grids);
}

template <class T> void mask(const addresses& w, const addresses& kept, const addresses& to, const layouts& l, int threads) {
  so_grid_mask(in<T>(w), in<uint8_t>(kept), out<T>(to), work(l, threads).grids);
}

template <class T>
void remask(const addresses& w, const addresses& kept, const addresses& changed, const addresses& to, const layouts& l,
            int threads) {
  so_grid_remask(so_remasked<T>{in<T>(w), in<uint8_t>(kept), in<uint8_t>(changed), out<T>(to)}, work(l, threads).grids);
}

template <class T>
void mask_norms(const addresses& w, const addresses& kept, const addresses& found, const addresses& to, const layouts& l,
                int threads) {
  so_grid_mask_norms(in<T>(w), in<uint8_t>(kept), out<T>(found), out<T>(to), work(l, threads).grids);
}

template <class T> void add_scaled(const addresses& w, const addresses& s, const addresses& g, const layouts& l, int threads) {
  so_grid_add_scaled(in<T>(w), in<T>(s), out<T>(g), work(l, threads).grids);
}

template <class T> void power(const addresses& w, const addresses& found, const addresses& to, const layouts& l, int threads) {
  so_grid_power(in<T>(w), out<T>(found), out<T>(to), work(l, threads).grids);
}

template <class T>
void power_vjp(const addresses& w, const addresses& given, const addresses& g, const layouts& l, int threads) {
  so_grid_power_vjp(in<T>(w), in<T>(given), out<T>(g), work(l, threads).grids);
}

template <class T>
void scale_vjp(const addresses& w, const addresses& g, const addresses& s, const addresses& dw, const addresses& ds,
               const layouts& l, int threads) {
  so_grid_scale_vjp(so_scale_vjp<T>{in<T>(w), in<T>(g), in<T>(s), out<T>(dw), out<T>(ds)}, work(l, threads).grids);
}

template <class T>
void prox(const addresses& w, const addresses& found, const addresses& steps, const std::vector<bool>& per_block, int kind,
          double parameter, const layouts& l, int threads) {
  std::vector<so_prox> given;
  for (size_t k = 0; k < steps.size(); ++k) given.push_back({kind, parameter, (const double*)steps[k], (bool)per_block[k]});
  so_grid_prox(out<T>(w), out<T>(found), given.data(), work(l, threads).grids);
}

template <class T>
std::vector<double> admm(const addresses& w, const addresses& z, const addresses& u, const addresses& kept, const layouts& l,
                         int threads) {
  std::vector<double> residuals(2 * l.size());
  so_grid_admm(so_triple<T>{in<T>(w), out<T>(z), out<T>(u), in<uint8_t>(kept)}, residuals.data(), work(l, threads).grids);
  return residuals;
}

template <class T>
void augment(const addresses& w, const addresses& z, const addresses& u, const addresses& g, double rho, const layouts& l,
             int threads) {
  so_grid_augment(so_triple<T>{in<T>(w), out<T>(z), u.empty() ? nullptr : out<T>(u), nullptr}, out<T>(g), rho, work(l, threads).grids);
}

template <class T>
void decay(const addresses& w, const addresses& g, const addresses& kept, double pull, const layouts& l, int threads) {
  so_grid_decay(in<T>(w), out<T>(g), in<uint8_t>(kept), pull, work(l, threads).grids);
}

// Functions of `n` lists, the layouts and the number of threads.
template <int n, class F> void define(nb::module_& m, const char* name, F* f) {
  const auto any = [] { return nb::arg().noconvert(); };
  if constexpr (n == 2) m.def(name, f, any(), any(), any(), any());
  else if constexpr (n == 3) m.def(name, f, any(), any(), any(), any(), any());
  else if constexpr (n == 4) m.def(name, f, any(), any(), any(), any(), any(), any());
  else if constexpr (n == 5) m.def(name, f, any(), any(), any(), any(), any(), any(), any());
  else m.def(name, f, any(), any(), any(), any(), any(), any(), any(), any());
}

}  // namespace

void so_define_grid(nb::module_& m) {
  define<3>(m, "grid_dots_f32", dots<float>);
  define<3>(m, "grid_dots_f64", dots<double>);
  define<2>(m, "grid_norms_f32", norms<float>);
  define<2>(m, "grid_norms_f64", norms<double>);
  define<3>(m, "grid_sum_norms_f32", sum_norms<float>);
  define<3>(m, "grid_sum_norms_f64", sum_norms<double>);
  define<3>(m, "grid_scale_f32", scale<float>);
  define<3>(m, "grid_scale_f64", scale<double>);
  define<3>(m, "grid_mask_f32", mask<float>);
  define<3>(m, "grid_mask_f64", mask<double>);
  define<4>(m, "grid_remask_f32", remask<float>);
  define<4>(m, "grid_remask_f64", remask<double>);
  define<4>(m, "grid_mask_norms_f32", mask_norms<float>);
  define<4>(m, "grid_mask_norms_f64", mask_norms<double>);
  define<3>(m, "grid_add_scaled_f32", add_scaled<float>);
  define<3>(m, "grid_add_scaled_f64", add_scaled<double>);
  define<3>(m, "grid_power_f32", power<float>);
  define<3>(m, "grid_power_f64", power<double>);
  define<3>(m, "grid_power_vjp_f32", power_vjp<float>);
  define<3>(m, "grid_power_vjp_f64", power_vjp<double>);
  define<5>(m, "grid_scale_vjp_f32", scale_vjp<float>);
  define<5>(m, "grid_scale_vjp_f64", scale_vjp<double>);
  define<6>(m, "grid_prox_f32", prox<float>);
  define<6>(m, "grid_prox_f64", prox<double>);
  define<4>(m, "grid_admm_f32", admm<float>);
  define<4>(m, "grid_admm_f64", admm<double>);
  define<5>(m, "grid_augment_f32", augment<float>);
  define<5>(m, "grid_augment_f64", augment<double>);
  define<4>(m, "grid_decay_f32", decay<float>);
  define<4>(m, "grid_decay_f64", decay<double>);
}
