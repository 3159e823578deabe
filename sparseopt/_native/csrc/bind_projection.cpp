// Python bindings of the projections onto mask sets: integers and pointers only, checked by sparseopt/_native/projections.py.
#include "projection.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/tuple.h>

#include <tuple>

namespace nb = nanobind;

namespace {

using plane = std::tuple<int64_t, int64_t, int64_t, int64_t>;                     // rows, cols, ld, ld_out
using shape = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t>;   // rows, cols, ld, ld_out, br, bc
using patterns = std::tuple<int, int, int, uintptr_t, bool>;                      // r, c, count, masks, transposable24

so_plane plane_of(const plane& p) { return {std::get<0>(p), std::get<1>(p), std::get<2>(p), std::get<3>(p)}; }

so_blocks blocks_of(const shape& s) {
  return {std::get<0>(s), std::get<1>(s), std::get<2>(s), std::get<3>(s), std::get<4>(s), std::get<5>(s)};
}

so_library library_of(const patterns& l) {
  return {std::get<0>(l), std::get<1>(l), std::get<2>(l), (const uint64_t*)std::get<3>(l), std::get<4>(l)};
}

template <class T> bool nm(uintptr_t w, uintptr_t out, const plane& p, int n, int m, int threads) {
  nb::gil_scoped_release unlocked;
  return so_project_nm((const T*)w, (T*)out, plane_of(p), n, m, threads);
}

template <class T> bool library(uintptr_t w, uintptr_t out, const plane& p, const patterns& l, int threads) {
  nb::gil_scoped_release unlocked;
  return so_project_library((const T*)w, (T*)out, plane_of(p), library_of(l), threads);
}

template <class T> void keep_blocks(uintptr_t w, uintptr_t out, const shape& s, uintptr_t kept, int threads) {
  nb::gil_scoped_release unlocked;
  so_keep_blocks((const T*)w, (T*)out, blocks_of(s), (const uint8_t*)kept, threads);
}

template <class T> int nm_cuda(uintptr_t w, uintptr_t out, const plane& p, int n, int m, int device, uintptr_t stream) {
  nb::gil_scoped_release unlocked;
  return so_project_nm_cuda((const T*)w, (T*)out, plane_of(p), n, m, so_stream{device, (void*)stream});
}

template <class T>
int library_cuda(uintptr_t w, uintptr_t out, const plane& p, const patterns& l, int device, uintptr_t stream) {
  nb::gil_scoped_release unlocked;
  return so_project_library_cuda((const T*)w, (T*)out, plane_of(p), library_of(l), so_stream{device, (void*)stream});
}

template <class F> void define_nm(nb::module_& m, const char* name, F* f) {
  m.def(name, f, nb::arg("w").noconvert(), nb::arg("out").noconvert(), nb::arg("plane").noconvert(), nb::arg("n").noconvert(),
        nb::arg("m").noconvert(), nb::arg("threads").noconvert());
}

template <class F> void define_library(nb::module_& m, const char* name, F* f) {
  m.def(name, f, nb::arg("w").noconvert(), nb::arg("out").noconvert(), nb::arg("plane").noconvert(),
        nb::arg("library").noconvert(), nb::arg("threads").noconvert());
}

template <class F> void define_keep(nb::module_& m, const char* name, F* f) {
  m.def(name, f, nb::arg("w").noconvert(), nb::arg("out").noconvert(), nb::arg("shape").noconvert(), nb::arg("kept").noconvert(),
        nb::arg("threads").noconvert());
}

template <class T> void define_cuda(nb::module_& m, const char* nm_name, const char* library_name) {
  m.def(nm_name, nm_cuda<T>, nb::arg("w").noconvert(), nb::arg("out").noconvert(), nb::arg("plane").noconvert(),
        nb::arg("n").noconvert(), nb::arg("m").noconvert(), nb::arg("device").noconvert(), nb::arg("stream").noconvert());
  m.def(library_name, library_cuda<T>, nb::arg("w").noconvert(), nb::arg("out").noconvert(), nb::arg("plane").noconvert(),
        nb::arg("library").noconvert(), nb::arg("device").noconvert(), nb::arg("stream").noconvert());
}

}  // namespace

void so_define_projections(nb::module_& m) {
  define_nm(m, "project_nm_f32", nm<float>);
  define_nm(m, "project_nm_f64", nm<double>);
  define_library(m, "project_library_f32", library<float>);
  define_library(m, "project_library_f64", library<double>);
  define_keep(m, "keep_blocks_f32", keep_blocks<float>);
  define_keep(m, "keep_blocks_f64", keep_blocks<double>);
  define_cuda<float>(m, "project_nm_cuda_f32", "project_library_cuda_f32");
  define_cuda<double>(m, "project_nm_cuda_f64", "project_library_cuda_f64");
  define_cuda<so_bfloat>(m, "project_nm_cuda_bf16", "project_library_cuda_bf16");
  define_cuda<so_half>(m, "project_nm_cuda_f16", "project_library_cuda_f16");
}
