// Python bindings of the soft top-k: a state, and its forward and backward pass on addresses, or on contiguous buffers, which
// are taken as they are or refused (SO_TOPK_REFUSED) without further checks: sparseopt/_native/topk.py then says what is wrong.
#include "topk.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/tuple.h>

#include <tuple>
#include <vector>

namespace nb = nanobind;

namespace {

enum { SO_TOPK_REFUSED = -1 };

using answer = std::tuple<int, int64_t>;  // code, row

template <class T> struct state {
  so_topk_state<T>* held = so_topk_new<T>();
  state() = default;
  state(const state&) = delete;
  ~state() { so_topk_delete(held); }
};

// A C-contiguous buffer of floats or doubles.
struct buffer {
  Py_buffer view;
  bool held;
  buffer(nb::handle object, bool written) {
    held = PyObject_GetBuffer(object.ptr(), &view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (written ? PyBUF_WRITABLE : 0)) == 0;
    if (!held) PyErr_Clear();
  }
  ~buffer() {
    if (held) PyBuffer_Release(&view);
  }
  char format() const { return view.format[0] == '<' || view.format[0] == '=' ? view.format[1] : view.format[0]; }
  bool like(const buffer& other) const {
    if (!held || format() != other.format() || view.ndim != other.view.ndim) return false;
    for (int i = 0; i < view.ndim; ++i)
      if (view.shape[i] != other.view.shape[i]) return false;
    return true;
  }
  bool overlaps(const buffer& other) const {
    const char *a = (const char*)view.buf, *b = (const char*)other.view.buf;
    return a < b + other.view.len && b < a + view.len;
  }
};

template <class T> constexpr char format_of();
template <> constexpr char format_of<float>() { return 'f'; }
template <> constexpr char format_of<double>() { return 'd'; }

template <class T> bool usable(const buffer& x) {
  return x.held && x.view.ndim >= 1 && x.view.len > 0 && x.format() == format_of<T>();
}
so_topk_shape shape_of(const buffer& x, int64_t k, double tau) {
  const int64_t n = x.view.shape[x.view.ndim - 1];
  return {(int64_t)(x.view.len / x.view.itemsize) / n, n, k, tau};
}

template <class T> answer forward_ptr(state<T>& s, uintptr_t x, uintptr_t y, int64_t rows, int64_t n, int64_t k, double tau, bool warm, int threads) {
  const so_topk_shape shape = {rows, n, k, tau};
  int64_t row = 0;
  nb::gil_scoped_release unlocked;
  const int code = so_topk_forward(s.held, (const T*)x, (T*)y, shape, warm && so_topk_fits(s.held, rows, n), threads, &row);
  return {code, row};
}

template <class T>
answer backward_ptr(const state<T>& s, uintptr_t x, uintptr_t y, uintptr_t g, uintptr_t out, int64_t rows, int64_t n, int64_t k, double tau, int threads) {
  const so_topk_shape shape = {rows, n, k, tau};
  int64_t row = 0;
  nb::gil_scoped_release unlocked;
  const int code = so_topk_backward(s.held, (const T*)x, (const T*)y, (const T*)g, (T*)out, shape, threads, &row);
  return {code, row};
}

template <class T> answer forward(state<T>& s, nb::handle x, nb::handle y, int64_t k, double tau, bool warm, int threads) {
  const buffer from(x, false), to(y, true);
  if (!usable<T>(from) || !to.like(from) || to.overlaps(from)) return {SO_TOPK_REFUSED, 0};
  const so_topk_shape shape = shape_of(from, k, tau);
  if (k < 0 || k > shape.n) return {SO_TOPK_REFUSED, 0};
  return forward_ptr(s, (uintptr_t)from.view.buf, (uintptr_t)to.view.buf, shape.rows, shape.n, k, tau, warm, threads);
}

template <class T>
answer backward(const state<T>& s, nb::handle x, nb::handle y, nb::handle g, nb::handle out, int64_t k, double tau, int threads) {
  const buffer from(x, false), stored(y.is_none() ? x : y, false), gradient(g, false), to(out, true);
  if (!usable<T>(from) || !stored.like(from) || !gradient.like(from) || !to.like(from)) return {SO_TOPK_REFUSED, 0};
  const so_topk_shape shape = shape_of(from, k, tau);
  const bool same = to.view.buf == gradient.view.buf;
  if (to.overlaps(from) || to.overlaps(stored) || (to.overlaps(gradient) && !same)) return {SO_TOPK_REFUSED, 0};
  if (!so_topk_fits(s.held, shape.rows, shape.n)) return {SO_TOPK_REFUSED, 0};
  return backward_ptr(s, (uintptr_t)from.view.buf, y.is_none() ? 0 : (uintptr_t)stored.view.buf, (uintptr_t)gradient.view.buf,
                      (uintptr_t)to.view.buf, shape.rows, shape.n, k, tau, threads);
}

template <class T>
int forward_cuda(uintptr_t x, uintptr_t y, uintptr_t work, uintptr_t codes, int64_t rows, int64_t n, int64_t k, double tau,
                 int device, uintptr_t stream) {
  nb::gil_scoped_release unlocked;
  return so_topk_forward_cuda((const T*)x, (T*)y, (void*)work, (int32_t*)codes, {rows, n, k, tau}, so_stream{device, (void*)stream});
}

template <class T>
int backward_cuda(uintptr_t x, uintptr_t g, uintptr_t out, uintptr_t work, int64_t rows, int64_t n, int64_t k, double tau,
                  int device, uintptr_t stream) {
  nb::gil_scoped_release unlocked;
  return so_topk_backward_cuda((const T*)x, (const T*)g, (T*)out, (void*)work, {rows, n, k, tau}, so_stream{device, (void*)stream});
}

template <class T> void define_cuda(nb::module_& m, const char* forward_name, const char* backward_name) {
  m.def(forward_name, forward_cuda<T>, nb::arg("x").noconvert(), nb::arg("y").noconvert(), nb::arg("work").noconvert(),
        nb::arg("codes").noconvert(), nb::arg("rows").noconvert(), nb::arg("n").noconvert(), nb::arg("k").noconvert(),
        nb::arg("tau").noconvert(), nb::arg("device").noconvert(), nb::arg("stream").noconvert());
  m.def(backward_name, backward_cuda<T>, nb::arg("x").noconvert(), nb::arg("g").noconvert(), nb::arg("out").noconvert(),
        nb::arg("work").noconvert(), nb::arg("rows").noconvert(), nb::arg("n").noconvert(), nb::arg("k").noconvert(),
        nb::arg("tau").noconvert(), nb::arg("device").noconvert(), nb::arg("stream").noconvert());
}

template <class T> void define(nb::module_& m, const char* name) {
  nb::class_<state<T>>(m, name)
      .def(nb::init<>())
      .def("forward", forward<T>, nb::arg("x"), nb::arg("y"), nb::arg("k").noconvert(), nb::arg("tau").noconvert(),
           nb::arg("warm").noconvert(), nb::arg("threads").noconvert())
      .def("backward", backward<T>, nb::arg("x"), nb::arg("y").none(), nb::arg("g"), nb::arg("out"), nb::arg("k").noconvert(),
           nb::arg("tau").noconvert(), nb::arg("threads").noconvert())
      .def("forward_ptr", forward_ptr<T>, nb::arg("x").noconvert(), nb::arg("y").noconvert(), nb::arg("rows").noconvert(),
           nb::arg("n").noconvert(), nb::arg("k").noconvert(), nb::arg("tau").noconvert(), nb::arg("warm").noconvert(),
           nb::arg("threads").noconvert())
      .def("backward_ptr", backward_ptr<T>, nb::arg("x").noconvert(), nb::arg("y").noconvert(), nb::arg("g").noconvert(),
           nb::arg("out").noconvert(), nb::arg("rows").noconvert(), nb::arg("n").noconvert(), nb::arg("k").noconvert(),
           nb::arg("tau").noconvert(), nb::arg("threads").noconvert())
      .def("thresholds", [](const state<T>& s, uintptr_t pivots, uintptr_t shifts, uintptr_t spreads) {
        so_topk_thresholds(s.held, (double*)pivots, (double*)shifts, (double*)spreads);
      });
}

}  // namespace

void so_define_topk(nb::module_& m) {
  define<float>(m, "TopK_f32");
  define<double>(m, "TopK_f64");
  define_cuda<float>(m, "topk_forward_cuda_f32", "topk_backward_cuda_f32");
  define_cuda<double>(m, "topk_forward_cuda_f64", "topk_backward_cuda_f64");
  m.def("topk_cuda_bytes", so_topk_cuda_bytes, nb::arg("rows").noconvert(), nb::arg("n").noconvert());
}
