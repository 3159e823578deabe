// Python bindings: integers and pointers only, checked by sparseopt/_native/__init__.py.
#include "block.h"
#include "radial_value.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <string>
#include <tuple>

namespace nb = nanobind;

namespace {

using shape = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t>;  // rows, cols, ld, ld_out, br, bc

so_blocks blocks_of(const shape& s) {
  return {std::get<0>(s), std::get<1>(s), std::get<2>(s), std::get<3>(s), std::get<4>(s), std::get<5>(s)};
}

template <class T> void block_norms(uintptr_t w, uintptr_t norms, const shape& s, int threads) {
  const so_blocks blocks = blocks_of(s);
  nb::gil_scoped_release unlocked;
  so_block_norms((const T*)w, (T*)norms, blocks, threads);
}

template <class T>
void block_prox(uintptr_t w, uintptr_t out, uintptr_t norms, const shape& s, int kind, double parameter, uintptr_t step,
                bool per_block, int threads) {
  const so_blocks blocks = blocks_of(s);
  const so_prox prox = {kind, parameter, (const double*)step, per_block};
  nb::gil_scoped_release unlocked;
  so_block_prox((const T*)w, (T*)out, (T*)norms, blocks, prox, threads);
}

template <class F> void define_prox(nb::module_& m, const char* name, F* f) {
  m.def(name, f, nb::arg("w").noconvert(), nb::arg("out").noconvert(), nb::arg("norms").noconvert(), nb::arg("shape").noconvert(),
        nb::arg("kind").noconvert(), nb::arg("parameter").noconvert(), nb::arg("step").noconvert(),
        nb::arg("per_block").noconvert(), nb::arg("threads").noconvert());
}

template <class F> void define_norms(nb::module_& m, const char* name, F* f) {
  m.def(name, f, nb::arg("w").noconvert(), nb::arg("norms").noconvert(), nb::arg("shape").noconvert(),
        nb::arg("threads").noconvert());
}

}  // namespace

void so_define_bcd(nb::module_& m);          // bind_bcd.cpp
void so_define_gram(nb::module_& m);         // bind_gram.cpp
void so_define_grid(nb::module_& m);         // bind_grid.cpp
void so_define_grid_cuda(nb::module_& m);    // bind_grid_cuda.cpp
void so_define_lines(nb::module_& m);        // bind_lines.cpp
void so_define_product(nb::module_& m);      // bind_product.cpp
void so_define_projections(nb::module_& m);  // bind_projection.cpp
void so_define_topk(nb::module_& m);         // bind_topk.cpp

NB_MODULE(_core, m) {
  so_define_bcd(m);
  so_define_gram(m);
  so_define_grid(m);
  so_define_grid_cuda(m);
  so_define_lines(m);
  so_define_product(m);
  so_define_projections(m);
  so_define_topk(m);
  define_norms(m, "block_norms_f32", block_norms<float>);
  define_norms(m, "block_norms_f64", block_norms<double>);
  define_prox(m, "block_prox_f32", block_prox<float>);
  define_prox(m, "block_prox_f64", block_prox<double>);
  m.def("radial_prox", [](int kind, double parameter, double v, double s) { return so_radial_prox(kind, parameter, v, s); },
        nb::arg("kind").noconvert(), nb::arg("parameter").noconvert(), nb::arg("v").noconvert(), nb::arg("step").noconvert());
  m.def("isa_in_use", [] { return std::string(so_isa_in_use()); });
  m.def("isa_available", so_isa_available);
  m.def("threads", so_threads);
  m.def("cuda_architectures", [] { return std::string(so_cuda_architectures()); });
  m.def("compiler", [] { return std::string(SO_COMPILER); });
  m.attr("LINEAR") = (int)SO_LINEAR;
  m.attr("POWER") = (int)SO_POWER;
  m.attr("LOG") = (int)SO_LOG;
  m.attr("RATIO") = (int)SO_RATIO;
  m.attr("EXP_MASK") = (int)SO_EXP_MASK;
  m.attr("MCP") = (int)SO_MCP;
  m.attr("SCAD") = (int)SO_SCAD;
  m.attr("L0") = (int)SO_L0;
  m.def("radial_value", [](int kind, double parameter, double t, double s) { return so_radial_value(kind, parameter, t, s); },
        nb::arg("kind").noconvert(), nb::arg("parameter").noconvert(), nb::arg("t").noconvert(), nb::arg("strength").noconvert());
  m.def("radial_slope", [](int kind, double parameter, double t, double s) { return so_radial_slope(kind, parameter, t, s); },
        nb::arg("kind").noconvert(), nb::arg("parameter").noconvert(), nb::arg("t").noconvert(), nb::arg("strength").noconvert());
}
