// Python bindings of the block coordinate descent: a problem is a dict of integers (sizes and pointers) and floats, made and
// checked by sparseopt/_native/bcd.py, which also keeps the arrays alive.
#include "bcd.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <exception>
#include <memory>
#include <tuple>
#include <vector>

namespace nb = nanobind;

namespace {

template <class T> T* pointer(const nb::dict& d, const char* name) { return (T*)nb::cast<uintptr_t>(d[name], false); }
int64_t integer(const nb::dict& d, const char* name) { return nb::cast<int64_t>(d[name], false); }
double number(const nb::dict& d, const char* name) { return nb::cast<double>(d[name], false); }

// what a pass over X needs
so_problem design_of(const nb::dict& d) {
  so_problem p = {};
  p.design = {(int)integer(d, "storage"), integer(d, "n"), integer(d, "ld"), pointer<const void>(d, "values"),
              pointer<const int64_t>(d, "starts"), pointer<const int32_t>(d, "rows")};
  p.groups = {integer(d, "groups"), integer(d, "largest"), pointer<const int64_t>(d, "offsets"), pointer<const int64_t>(d, "columns"),
              pointer<const int64_t>(d, "squares")};
  p.state.outputs = integer(d, "outputs");
  p.state.ldr = integer(d, "ldr");
  return p;
}

so_problem problem_of(const nb::dict& d) {
  so_problem p = design_of(d);
  p.penalty = {(int)integer(d, "kind"), number(d, "parameter"), number(d, "l1"), number(d, "l2"), integer(d, "positive") != 0,
               pointer<const double>(d, "strength"), {nullptr, nullptr}};
  p.state = {integer(d, "outputs"), integer(d, "ldr"), pointer<double>(d, "r"), pointer<const double>(d, "target"),
             pointer<const double>(d, "share"), pointer<const double>(d, "inverse"), number(d, "total"),
             integer(d, "centred") != 0, integer(d, "unweighted_blocks") != 0, pointer<double>(d, "b"), pointer<double>(d, "basis"),
             pointer<double>(d, "curvature"), pointer<double>(d, "means"), pointer<double>(d, "factor"), number(d, "factor_limit"),
             pointer<uint8_t>(d, "ready")};
  return p;
}

// Asks Python for signals, the deadline and the values of penalties written in Python; the first exception ends the loop, and is
// raised when the call returns.
struct question {
  nb::object callable, penalty;
  std::exception_ptr raised = nullptr;
  static int ask(void* context) {
    question& q = *(question*)context;
    nb::gil_scoped_acquire locked;
    if (q.raised) return 1;
    try {
      if (PyErr_CheckSignals() != 0) throw nb::python_error();
      return nb::cast<bool>(q.callable()) ? 1 : 0;
    } catch (...) {
      q.raised = std::current_exception();
      return 1;
    }
  }
  static double answer(void* context, int what, double t, double strength, double curvature) {
    question& q = *(question*)context;
    nb::gil_scoped_acquire locked;
    if (q.raised) return 0;
    try {
      return nb::cast<double>(q.penalty(what, t, strength, curvature));
    } catch (...) {
      q.raised = std::current_exception();
      return 0;
    }
  }
  void rethrow() {
    if (!raised) return;
    std::exception_ptr first = std::move(raised);
    std::rethrow_exception(first);
  }
};

using answer = std::tuple<int64_t, int64_t, int64_t, double, double, bool, int64_t>;

answer inner(const nb::dict& d, uintptr_t working, int64_t count, uintptr_t scores, bool scored, int64_t max_epochs,
             int64_t epochs_per_cycle, int64_t anderson, double gap_target, double violation_target, double settled, uintptr_t workspace,
             nb::object ask) {
  so_problem p = problem_of(d);
  const so_bcd_options options = {max_epochs, epochs_per_cycle, anderson, gap_target, violation_target, settled, 0, false};
  question q{ask, nb::borrow(d["asked"])};
  p.penalty.asked = {question::answer, &q};
  so_bcd_report r;
  {
    nb::gil_scoped_release unlocked;
    r = so_bcd_inner(p, (const int64_t*)working, count, (double*)scores, scored, options, (double*)workspace, {question::ask, &q});
  }
  q.rethrow();
  return {r.epochs, r.visits, r.accepted, r.gap, r.violation, r.interrupted != 0, r.columns};
}

so_packed packed_columns_of(const nb::dict& d) {
  so_packed q = {};
  q.blocks = integer(d, "blocks"), q.values = pointer<int16_t>(d, "values"), q.ready = pointer<uint8_t>(d, "ready");
  q.scale = pointer<double>(d, "scale"), q.square = pointer<double>(d, "square"), q.mean = pointer<double>(d, "mean");
  q.root = pointer<const double>(d, "root"), q.centred = integer(d, "centred") != 0;
  q.frobenius = pointer<double>(d, "frobenius"), q.error = pointer<double>(d, "error"), q.lengths = pointer<double>(d, "lengths");
  return q;
}

so_packed packed_of(const nb::dict& d) {
  so_packed q = packed_columns_of(d);
  q.careful = integer(d, "careful") != 0, q.unit = number(d, "unit");
  q.s = pointer<float>(d, "s"), q.pull = pointer<const double>(d, "pull"), q.residual = pointer<const double>(d, "residual");
  q.renewed = pointer<double>(d, "renewed"), q.scored = pointer<uint8_t>(d, "scored");
  return q;
}

void packed_pass(const nb::dict& d, const nb::dict& e, uintptr_t v, uintptr_t gradient, uintptr_t norms) {
  const so_problem p = design_of(d);
  const so_packed packed = packed_columns_of(e);
  nb::gil_scoped_release unlocked;
  so_packed_pass(p, packed, (const double*)v, (double*)gradient, (double*)norms);
}

answer packed_inner(const nb::dict& d, const nb::dict& e, uintptr_t working, int64_t count, uintptr_t scores, int64_t max_epochs,
                    int64_t epochs_per_cycle, int64_t anderson, double gap_target, uintptr_t workspace, nb::object ask) {
  const so_problem p = problem_of(d);
  const so_packed packed = packed_of(e);
  const so_bcd_options options = {max_epochs, epochs_per_cycle, anderson, gap_target, 0, 0, number(e, "kappa"), false};
  question q{ask, nb::none()};
  so_bcd_report r;
  {
    nb::gil_scoped_release unlocked;
    r = so_packed_inner(p, packed, (const int64_t*)working, count, (double*)scores, options, (double*)workspace, {question::ask, &q});
  }
  q.rethrow();
  return {r.epochs, r.visits, r.accepted, r.gap, r.kappa, r.interrupted != 0, r.columns};
}

bool packed_score(const nb::dict& d, const nb::dict& e, uintptr_t groups, int64_t count, uintptr_t workspace, nb::object ask) {
  const so_problem p = problem_of(d);
  const so_packed packed = packed_of(e);
  question q{ask, nb::none()};
  int stopped;
  {
    nb::gil_scoped_release unlocked;
    stopped = so_packed_score(p, packed, (const int64_t*)groups, count, (double*)workspace, {question::ask, &q});
  }
  q.rethrow();
  return stopped != 0;
}

using newton_answer = std::tuple<int64_t, int64_t, int, double, double, double, double, int64_t>;
using risk_pointers = std::tuple<int64_t, int64_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t>;  // as so_risk_sets has them
using loss_pointers = std::tuple<int, uintptr_t, uintptr_t, uintptr_t, risk_pointers, double>;    // as so_loss has them
using newton_counts = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, bool>;
using newton_limits = std::tuple<double, double, double, double, double, double, double>;  // both as so_newton_options has them, scored last

newton_answer answer_of(const so_newton_report& r) {
  return {r.models, r.columns, r.why, r.error, r.value, r.gap, r.violation, r.active};
}

so_loss loss_of(const loss_pointers& what) {
  const auto [kind, y, share, offset, risk, delta] = what;
  const auto [count, times, order, starts, weight, mass] = risk;
  const so_risk_sets sets = {count, times, (const int64_t*)order, (const int64_t*)starts, (const double*)weight, (const double*)mass};
  return {kind, (const double*)y, (const double*)share, (const double*)offset, sets, delta};
}

so_newton_options newton_options(const newton_counts& counts, const newton_limits& limits) {
  const auto [models, epochs, most_epochs, epochs_per_cycle, anderson, halvings, scored] = counts;
  const auto [target, slow, last, smallest_share, margin, next, at_zero] = limits;
  return {models, epochs, most_epochs, epochs_per_cycle, anderson, halvings, target, slow, last, smallest_share, margin, next, at_zero,
          scored, false, INFINITY};
}

// point: the pointers of so_newton_point, in order
newton_answer newton(const nb::dict& d, loss_pointers what, uintptr_t working, int64_t count,
                     std::tuple<uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t> point,
                     newton_counts counts, newton_limits limits, uintptr_t workspace, nb::object ask) {
  so_problem p = problem_of(d);
  const so_loss loss = loss_of(what);
  const auto [z, scores, force, w, sizes, pull, norms] = point;
  const so_newton_point found = {(double*)z, (double*)scores, (double*)force, (double*)w, (double*)sizes, (double*)pull, (double*)norms};
  const so_newton_options options = newton_options(counts, limits);
  question q{ask, nb::borrow(d["asked"])};
  p.penalty.asked = {question::answer, &q};
  so_newton_report r;
  {
    nb::gil_scoped_release unlocked;
    r = so_newton(p, loss, (const int64_t*)working, count, found, options, (double*)workspace, {question::ask, &q});
  }
  q.rethrow();
  return answer_of(r);
}

using strengths_of = std::tuple<int64_t, int64_t, uintptr_t, uintptr_t>;  // as so_strengths has them

so_strengths path_of(const strengths_of& path) {
  const auto [count, first, strength, lam] = path;
  return {count, first, (const double*)strength, (const double*)lam};
}

// rows: z, w, seconds and at_zero of so_descent_path, whose reports are returned.  sweeps: most of them, and the largest change that ends a cycle
std::vector<newton_answer> descend_path(const nb::dict& d, loss_pointers what, uintptr_t working, int64_t count, strengths_of path,
                                        std::tuple<uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t> rows, newton_counts counts,
                                        newton_limits limits, std::tuple<int64_t, double> sweeps, nb::object ask) {
  so_problem p = problem_of(d);
  const so_newton_options options = newton_options(counts, limits);
  const auto [max_epochs, settled] = sweeps;
  const so_bcd_options of_squares = {max_epochs, options.epochs_per_cycle, options.anderson, options.target, 0, settled, 0, true};
  const auto [z, w, seconds, at_zero, lengths] = rows;
  const so_strengths strengths = path_of(path);
  std::vector<so_newton_report> reports(strengths.count);
  question q{ask, nb::borrow(d["asked"])};
  p.penalty.asked = {question::answer, &q};
  int64_t known;
  {
    nb::gil_scoped_release unlocked;
    const std::unique_ptr<double[]> workspace(new double[so_descend_path_workspace(p, std::get<0>(what), options.anderson)]);
    known = so_descend_path(p, loss_of(what), (const int64_t*)working, count, strengths,
                            {(double*)z, (double*)w, (double*)seconds, (const double*)at_zero, (const double*)lengths, reports.data()}, options,
                            of_squares, workspace.get(), {question::ask, &q});
  }
  q.rethrow();
  std::vector<newton_answer> answers;
  for (int64_t l = strengths.first; l < known; ++l) answers.push_back(answer_of(reports[l - strengths.first]));
  return answers;
}

int64_t gram_path(const nb::dict& d, const nb::dict& e, strengths_of path, std::tuple<uintptr_t, uintptr_t, uintptr_t, uintptr_t> rows,
                  int64_t max_epochs, int64_t epochs_per_cycle, double gap_target, uintptr_t workspace, nb::object ask) {
  const so_problem p = problem_of(d);
  const so_gram gram = {integer(e, "p"), pointer<const double>(e, "matrix"), pointer<const double>(e, "at_zero"), nullptr,
                        number(e, "square")};
  const auto [b, pull, epochs, seconds] = rows;
  const so_bcd_options options = {max_epochs, epochs_per_cycle, 0, gap_target, 0, 0, 0, false};
  question q{ask, nb::none()};
  int64_t known;
  {
    nb::gil_scoped_release unlocked;
    known = so_gram_path(p, gram, path_of(path), (double*)b, (double*)pull, (int64_t*)epochs, (double*)seconds, options,
                         (double*)workspace, {question::ask, &q});
  }
  q.rethrow();
  return known;
}

// Address of the first entry of an array, 0 of None: that of ndarray.ctypes takes ten times as long.
uintptr_t address(nb::object array) {
  if (array.is_none()) return 0;
  Py_buffer view;
  if (PyObject_GetBuffer(array.ptr(), &view, PyBUF_STRIDES) != 0) throw nb::python_error();
  const uintptr_t at = (uintptr_t)view.buf;
  PyBuffer_Release(&view);
  return at;
}

bool gradient(const nb::dict& d, uintptr_t v, uintptr_t need, uintptr_t out, uintptr_t norms, uintptr_t frobenius, int threads,
              nb::object ask) {
  const so_problem p = design_of(d);
  question q{ask, nb::none()};
  int stopped;
  {
    nb::gil_scoped_release unlocked;
    const so_bcd_pass pass = {(const uint8_t*)need, (double*)out, (double*)norms, (double*)frobenius};
    stopped = so_bcd_gradient(p, (const double*)v, pass, threads, {question::ask, &q});
  }
  q.rethrow();
  return stopped != 0;
}

}  // namespace

void so_define_bcd(nb::module_& m) {
  m.def("bcd_inner", inner, nb::arg("problem").noconvert(), nb::arg("working").noconvert(), nb::arg("count").noconvert(),
        nb::arg("scores").noconvert(), nb::arg("scored").noconvert(), nb::arg("max_epochs").noconvert(),
        nb::arg("epochs_per_cycle").noconvert(), nb::arg("anderson").noconvert(), nb::arg("gap_target").noconvert(),
        nb::arg("violation_target").noconvert(), nb::arg("settled").noconvert(), nb::arg("workspace").noconvert(), nb::arg("ask"));
  m.def("bcd_gradient", gradient, nb::arg("problem").noconvert(), nb::arg("v").noconvert(), nb::arg("need").noconvert(),
        nb::arg("out").noconvert(), nb::arg("norms").noconvert(), nb::arg("frobenius").noconvert(), nb::arg("threads").noconvert(), nb::arg("ask"));
  m.def("bcd_products_pay", &so_products_pay, nb::arg("n").noconvert(), nb::arg("columns").noconvert(), nb::arg("outputs").noconvert(),
        nb::arg("sweeps").noconvert());
  m.def("bcd_workspace", [](const nb::dict& d, int64_t coefficients, int64_t anderson) {
    return so_bcd_workspace(problem_of(d), coefficients, anderson);
  });
  m.def("newton", newton, nb::arg("problem").noconvert(), nb::arg("loss"), nb::arg("working").noconvert(), nb::arg("count").noconvert(),
        nb::arg("point"), nb::arg("counts"), nb::arg("limits"), nb::arg("workspace").noconvert(), nb::arg("ask"));
  m.def("descend_path", descend_path, nb::arg("problem").noconvert(), nb::arg("loss"), nb::arg("working").noconvert(),
        nb::arg("count").noconvert(), nb::arg("path"), nb::arg("rows"), nb::arg("counts"), nb::arg("limits"), nb::arg("sweeps"),
        nb::arg("ask"));
  m.def("use_dsyevd", [](uintptr_t routine) { so_dsyevd = (so_eigensolver)routine; }, nb::arg("routine").noconvert());
  m.def("address", address, nb::arg("array").none());
  m.def("newton_workspace", [](const nb::dict& d, int kind, int64_t anderson) { return so_newton_workspace(problem_of(d), kind, anderson); });
  m.def("packed_inner", packed_inner, nb::arg("problem").noconvert(), nb::arg("packed").noconvert(), nb::arg("working").noconvert(),
        nb::arg("count").noconvert(), nb::arg("scores").noconvert(), nb::arg("max_epochs").noconvert(),
        nb::arg("epochs_per_cycle").noconvert(), nb::arg("anderson").noconvert(), nb::arg("gap_target").noconvert(),
        nb::arg("workspace").noconvert(), nb::arg("ask"));
  m.def("packed_pass", packed_pass, nb::arg("design").noconvert(), nb::arg("packed").noconvert(), nb::arg("v").noconvert(),
        nb::arg("gradient").noconvert(), nb::arg("norms").noconvert());
  m.def("packed_score", packed_score, nb::arg("problem").noconvert(), nb::arg("packed").noconvert(), nb::arg("groups").noconvert(),
        nb::arg("count").noconvert(), nb::arg("workspace").noconvert(), nb::arg("ask"));
  m.def("gram_path", gram_path, nb::arg("problem").noconvert(), nb::arg("gram").noconvert(), nb::arg("path"), nb::arg("rows"),
        nb::arg("max_epochs").noconvert(), nb::arg("epochs_per_cycle").noconvert(), nb::arg("gap_target").noconvert(),
        nb::arg("workspace").noconvert(), nb::arg("ask"));
  m.def("packed_workspace", [](const nb::dict& d, const nb::dict& e, int64_t groups, int64_t coefficients, int64_t anderson) {
    return so_packed_workspace(problem_of(d), packed_of(e), groups, coefficients, anderson);
  });
  m.def("bcd_fit", [](const nb::dict& d, uintptr_t w, uintptr_t z) { so_bcd_fit(problem_of(d), (const double*)w, (double*)z); });
  m.def("bcd_fit_and_gradient", [](const nb::dict& d, uintptr_t w, uintptr_t v, uintptr_t z, uintptr_t gradient, uintptr_t room) {
    const so_problem p = design_of(d);
    nb::gil_scoped_release unlocked;
    so_bcd_fit_and_gradient(p, (const double*)w, (const double*)v, (double*)z, (double*)gradient, (double*)room);
  });
  m.def("bcd_rotate", [](const nb::dict& d, uintptr_t w, uintptr_t b, bool forward) {
    so_bcd_rotate(problem_of(d), (const double*)w, (double*)b, forward);
  });
}
