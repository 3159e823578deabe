// The problem of a part of the samples, where there are many for each column: its solution is near that of all of them.
#pragma once
#include "../bcd.h"
#include "bcd_table.h"

#include <cstring>

// Of the samples one in so many, in blocks of rows far apart, so that sorted samples do no harm; samples for each column, and in all, from
// which on the solution is worth its cost.
const int64_t ONE_IN = 8, ROWS_OF_BLOCK = 64, MANY_FOR_A_COLUMN = 128, MANY_SAMPLES = 8192;

// A loss of single samples and dense columns, with memory of its own.
class thinned {
  const so_problem& whole;
  so_problem p;
  so_loss loss;
  double *z, *scores, *sizes, *norms, *pull, *free;

  double* take(int64_t count) {
    double* at = free;
    free += count;
    return at;
  }
  template <class F> F* rows_of(const F* from, F* out) const {
    for (int64_t i = 0; i < p.design.n; i += ROWS_OF_BLOCK) memcpy(out + i, from + i * ONE_IN, ROWS_OF_BLOCK * sizeof(F));
    return out;
  }
  template <class F> void take_columns() {
    F* out = (F*)take(p.design.n * columns(whole));
    for (int64_t j = 0; j < columns(whole); ++j) rows_of((const F*)whole.design.values + j * whole.design.ld, out + j * p.design.n);
    p.design.values = out, p.design.ld = p.design.n;
  }
  static int64_t columns(const so_problem& p) { return p.groups.offsets[p.groups.count]; }
  static int64_t samples(const so_problem& p) { return p.design.n / (ONE_IN * ROWS_OF_BLOCK) * ROWS_OF_BLOCK; }

 public:
  static bool pays(const so_problem& p, int kind) {
    const bool single = kind == SO_LOGISTIC || kind == SO_POISSON || kind == SO_HUBER, dense = p.design.storage != SO_CSC_F64;
    return single && dense && p.groups.largest <= SO_CHUNK && p.design.n >= MANY_SAMPLES && p.design.n >= MANY_FOR_A_COLUMN * columns(p);
  }
  static int64_t memory(const so_problem& p, int kind) {
    const int64_t n = samples(p), k = columns(p), G = p.groups.count, padding = p.state.ldr - p.design.n;
    return pays(p, kind) ? n * k + 7 * n + 2 * padding + 5 * k + p.groups.squares[G] + 5 * G : 0;
  }
  thinned(const so_problem& problem, const so_loss& of, double* workspace) : whole(problem), p(problem), loss(of), free(workspace) {
    const int64_t n = p.design.n = samples(problem), k = columns(p), G = p.groups.count;
    const int64_t ldr = p.state.ldr = n + whole.state.ldr - whole.design.n;
    if (p.design.storage == SO_DENSE_F64) take_columns<double>();
    else take_columns<float>();
    double* share = take(n);
    loss.y = rows_of(of.y, take(n)), loss.offset = rows_of(of.offset, take(n)), loss.share = rows_of(of.share, share);
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += share[i];
    for (int64_t i = 0; i < n && sum > 0; ++i) share[i] /= sum;
    p.state.share = take(n), p.state.inverse = take(n), p.state.r = take(ldr), z = take(ldr);
    p.state.b = take(k), p.state.basis = take(p.groups.squares[G]), p.state.curvature = take(k), p.state.means = take(k), p.state.factor = take(G);
    pull = take(k), scores = take(G), sizes = take(G), norms = take(G), p.state.ready = (uint8_t*)take(G);
    memset(p.state.b, 0, k * sizeof(double)), memset(z, 0, ldr * sizeof(double));
    memset(p.state.factor, 0, G * sizeof(double)), memset(p.state.ready, 0, G), memset(scores, 0, G * sizeof(double));
  }
  // The solution w [p] over some groups, by Newton steps from 0, as near as it is to that of all samples: a part of the objective is lost
  // for each coefficient over the samples.  Returns how many columns of all samples would have cost as much to read.
  int64_t solve(const int64_t* working, int64_t count, so_newton_options o, double* w, double* workspace, const so_poll& poll) {
    o.target = (double)columns(p) / p.design.n;
    return so_newton(p, loss, working, count, {z, scores, nullptr, w, sizes, pull, norms}, o, workspace, poll).columns / ONE_IN;
  }
};
