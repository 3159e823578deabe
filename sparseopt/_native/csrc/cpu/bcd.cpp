// Block coordinate descent: the choice of instruction set, threads over groups for whole passes, and what needs no speed.
#include "../bcd.h"

#include "bcd_table.h"
#include "isa.h"

#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

namespace {

const so_bcd_table& table() {
#ifdef SO_MULTI_ISA
  static const so_bcd_table& chosen = so_isa_level() >= 4 ? so_bcd_v4 : so_isa_level() >= 3 ? so_bcd_v3 : so_bcd_baseline;
  return chosen;
#else
  return so_bcd_baseline;
#endif
}

const int64_t groups_per_task = 64;

}  // namespace

so_eigensolver so_dsyevd = nullptr;

int64_t so_bcd_workspace(const so_problem& p, int64_t coefficients, int64_t anderson) {
  const int64_t k = p.groups.largest, T = p.state.outputs;
  const int64_t one = 6 * k * T + k + p.design.n + 8 + so_block_memory(k);
  return one + p.groups.count + (anderson + 2) * (coefficients * T + T * p.state.ldr) + so_samples_memory(p.design.n, coefficients);
}

so_bcd_report so_bcd_inner(const so_problem& p, const int64_t* working, int64_t count, double* scores, bool scored,
                           const so_bcd_options& options, double* workspace, const so_poll& poll) {
  return table().inner(p, working, count, scores, scored, options, workspace, poll);
}

so_bcd_report so_packed_inner(const so_problem& p, const so_packed& q, const int64_t* working, int64_t count, double* scores,
                              const so_bcd_options& options, double* workspace, const so_poll& poll) {
  return table().packed(p, q, working, count, scores, options, workspace, poll);
}

int64_t so_packed_workspace(const so_problem& p, const so_packed& q, int64_t groups, int64_t coefficients, int64_t anderson) {
  return table().packed_memory(p, q, groups, coefficients, anderson);
}

void so_packed_pass(const so_problem& p, const so_packed& q, const double* v, double* gradient, double* norms) {
  table().packed_pass(p, q, v, gradient, norms);
}

int so_packed_score(const so_problem& p, const so_packed& q, const int64_t* groups, int64_t count, double* workspace, const so_poll& poll) {
  return table().packed_score(p, q, groups, count, workspace, poll);
}

so_bcd_report so_gram_inner(const so_problem& p, const so_gram& q, const so_bcd_options& options, double* workspace,
                            const so_poll& poll) {
  return table().gram(p, q, options, workspace, poll);
}

so_newton_report so_newton(const so_problem& p, const so_loss& loss, const int64_t* working, int64_t count, const so_newton_point& point,
                           const so_newton_options& options, double* workspace, const so_poll& poll) {
  return table().newton(p, loss, working, count, point, options, workspace, poll);
}

int64_t so_newton_workspace(const so_problem& p, int kind, int64_t anderson) {
  return table().newton_memory(p, kind) + so_bcd_workspace(p, p.groups.offsets[p.groups.count], anderson);
}

int so_bcd_gradient(const so_problem& p, const double* v, const so_bcd_pass& pass, int threads, const so_poll& poll) {
  const int64_t tasks = (p.groups.count + groups_per_task - 1) / groups_per_task;
  int stop = 0;
  double done = 0;  // by the first thread, which alone may ask
  const int team = threads > 1 ? threads : 1;
#pragma omp parallel for schedule(dynamic) num_threads(team) if (team > 1)
  for (int64_t t = 0; t < tasks; ++t) {
    int seen;
#pragma omp atomic read
    seen = stop;
    if (seen) continue;
    const int64_t from = t * groups_per_task, to = from + groups_per_task;
    table().gradient(p, v, pass, from, to < p.groups.count ? to : p.groups.count);
    bool master = true;
#ifdef _OPENMP
    master = omp_get_thread_num() == 0;
#endif
    if (!master) continue;
    const int64_t end = to < p.groups.count ? to : p.groups.count;
    done += 2.0 * p.design.n * p.state.outputs * (p.groups.offsets[end] - p.groups.offsets[from]);
    if (done < 2e8) continue;
    done = 0;
    if (poll.ask && poll.ask(poll.context)) {
#pragma omp atomic write
      stop = 1;
    }
  }
  return stop;
}

void so_bcd_fit(const so_problem& p, const double* w, double* z) { table().fit(p, w, z); }

void so_bcd_fit_and_gradient(const so_problem& p, const double* w, const double* v, double* z, double* gradient, double* room) {
  table().fit_and_gradient(p, w, v, z, gradient, room);
}

void so_bcd_rotate(const so_problem& p, const double* w, double* b, bool forward) {
  const int64_t T = p.state.outputs;
  for (int64_t g = 0; g < p.groups.count; ++g) {
    const int64_t a = p.groups.offsets[g], k = p.groups.offsets[g + 1] - a;
    const double *x = w + a * T, *v = p.state.basis + p.groups.squares[g];
    double* out = b + a * T;
    bool zero = true;
    for (int64_t i = 0; i < k * T && zero; ++i) zero = x[i] == 0;
    if (zero || k == 1 || p.penalty.entrywise() || !(p.state.ready[g] & SO_BASIS)) {
      memcpy(out, x, k * T * sizeof(double));
      continue;
    }
    memset(out, 0, k * T * sizeof(double));
    for (int64_t j = 0; j < k; ++j)
      for (int64_t i = 0; i < k; ++i)
        for (int64_t t = 0; t < T; ++t)
          if (forward) out[i * T + t] += v[j * k + i] * x[j * T + t];
          else out[j * T + t] += v[j * k + i] * x[i * T + t];
  }
}
