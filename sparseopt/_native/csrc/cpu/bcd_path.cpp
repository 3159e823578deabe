// Solutions at several strengths in one call, each from the line through the two before.
#include "../bcd.h"

#include "bcd_thinned.h"

#include <algorithm>
#include <cfloat>
#include <chrono>
#include <cmath>
#include <cstring>

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

bool asked_to_end(const so_poll& poll) { return poll.ask && poll.ask(poll.context); }

// How far the solution at strength l is ahead of the one before, in its distance from the one before that: 0 where it is not, or too far.
double length_ahead(const so_strengths& path, int64_t l) {
  const double last = path.lam[l - 1] - path.lam[l - 2], length = last != 0 ? (path.lam[l] - path.lam[l - 1]) / last : 0;
  return length > 0 && length <= SO_LONGEST ? length : 0;
}

// Row l, on the line through the two before; rows [.., size].
void go_ahead(double* rows, int64_t size, int64_t l, double length) {
  const double *last = rows + (l - 1) * size, *before = last - size;
  double* next = rows + l * size;
  for (int64_t i = 0; i < size; ++i) next[i] = last[i] + length * (last[i] - before[i]);
}

// Columns from which on those that are likely to stay 0 are left out at first, where they are more than the others: fewer cost less than
// another look at all samples, and where most are likely, others enter again and again.
const int64_t MANY_LEFT_OUT = 64;

// Groups at most to begin with where nothing is known but the gradient at 0; groups of scores above NEARLY enter with those that violate
// stationarity, and the part of the gap before that is wanted while there are some, unless so many times their columns are neither all nor
// more than the samples: sweeps over them to the end are few, and cost less than another pass, then.
const int64_t AT_ONCE = 128, FEW_OF_ALL = 8;
const int64_t NOT_FEW = 1 << 16;  // entries from which on a look at all of them costs something
const double NEARLY = 0.98, LOOSE = 0.1;

// Sweeps on squares after which it is asked again whether a Gram matrix would have cost less, at first.
const int64_t FIRST_SWEEPS = 20;

// Bounds of the norms |X_g' r| of groups, as r [length] moves from one solution to the next: the norm where the group was read last, and
// |X_g| times how far r went from there.
struct norm_bounds {
  const so_problem& p;
  int64_t length;
  double *norms, *lengths, *since, *r;  // lengths [G]: |X_g|_F, inf where unknown; since [G]: the way of r up to where the group was read
  uint8_t *need, *chosen;  // [G]: groups to read; those that are looked at in any case
  double way = 0, rounding = 0;  // of r, and that of norms over lengths
  bool begun = false;

  norm_bounds(const so_problem& problem, int64_t numbers, const double* known, double* memory) : p(problem), length(numbers) {
    const int64_t G = p.groups.count;
    norms = memory, lengths = norms + G, since = lengths + G, r = since + G, need = (uint8_t*)(r + length), chosen = need + G;
    for (int64_t g = 0; g < G; ++g) norms[g] = INFINITY, lengths[g] = known ? known[g] : INFINITY, since[g] = 0, need[g] = chosen[g] = 0;
  }
  static int64_t memory(int64_t groups, int64_t numbers) { return 4 * groups + numbers; }
  void move_to(const double* now) {
    double moved = 0, size = 0;
    for (int64_t i = 0; i < length; ++i) {
      const double change = begun ? now[i] - r[i] : 0;
      moved += change * change, size += now[i] * now[i], r[i] = now[i];
    }
    way += std::sqrt(moved), begun = true;
    rounding = std::fmax(rounding, DBL_EPSILON * p.design.n * std::sqrt(size));
  }
  void know(int64_t g, double norm) { norms[g] = norm, since[g] = way; }
  bool at_most(int64_t g, double limit) const { return norms[g] + lengths[g] * (way - since[g] + rounding) <= limit; }
  // The norms of groups with need[g], their gradients in room [p, T]; false where it was interrupted.  again: whether bounds are wanted later.
  bool read(double* room, bool again, const so_poll& poll) {
    bool measured = true;
    for (int64_t g = 0; g < p.groups.count; ++g) measured &= !again || !need[g] || lengths[g] < INFINITY;
    const bool whole = so_bcd_gradient(p, r, {need, room, norms, measured ? nullptr : lengths}, 1, poll) == 0;
    for (int64_t g = 0; g < p.groups.count; ++g) {
      if (need[g] && !measured) lengths[g] = std::sqrt(lengths[g]);
      if (need[g]) since[g] = way;
    }
    return whole;
  }
};

struct descent_path {
  so_problem p;
  const so_loss& loss;
  const int64_t *all, *working;  // groups that may move, and those of them that are looked at
  int64_t every, count, size, length;  // their numbers, coefficients, numbers of a fit
  const so_newton_options& options;
  const so_bcd_options& sweeps;
  const so_poll& poll;
  double *scores, *sizes, *norms, *pull, *start, *thin, *memory;
  int64_t* likely;
  norm_bounds bounds;  // of gradients at the solutions
  double kappa = 0;  // of the last sweeps
  int64_t expected = 0;  // sweeps on squares, 0 where unknown

  descent_path(const so_problem& problem, const so_loss& of, const int64_t* groups, int64_t k, const so_newton_options& newton,
               const so_bcd_options& squares, const so_poll& ask, const double* lengths, double* workspace)
      : p(problem), loss(of), all(groups), working(groups), every(k), count(k), size(p.groups.offsets[p.groups.count] * p.state.outputs),
        length(p.state.outputs * p.state.ldr), options(newton), sweeps(squares), poll(ask),
        bounds(p, length, lengths, workspace) {
    workspace += norm_bounds::memory(p.groups.count, length);
    const int64_t G = p.groups.count;
    scores = workspace, sizes = scores + G, norms = sizes + G;
    pull = norms + G, start = pull + size, memory = start + size;
    likely = (int64_t*)memory, memory += G;
    thin = memory, memory += thinned::memory(p, loss.kind);
    for (int64_t g = 0; g < G; ++g) scores[g] = sizes[g] = norms[g] = 0;
  }
  static int64_t own_memory(const so_problem& p) {
    const int64_t G = p.groups.count, T = p.state.outputs;
    return 4 * G + 2 * T * p.groups.offsets[G] + norm_bounds::memory(G, T * p.state.ldr);
  }

  void fit_of(const double* w, double* z) const {
    memset(z, 0, length * sizeof(double));
    so_bcd_fit(p, w, z);
  }
  so_newton_report steps(double* z, double* w, const so_newton_options& o) {
    so_newton_report report = so_newton(p, loss, working, count, {z, scores, nullptr, w, sizes, pull, norms}, o, memory, poll);
    if (report.models == 0) memcpy(w, start, size * sizeof(double));  // these bits, not those of a way to the eigenbases and back
    return report;
  }
  // From the solution for a part of the samples to that for all, if the objective is lower there than at 0; an error of inf elsewhere.
  so_newton_report from_thinned(double* z, double* w) {
    so_newton_options o = options;
    o.highest = options.at_zero;
    const int64_t columns = thinned(p, loss, thin).solve(working, count, options, start, memory, poll);
    so_bcd_rotate(p, start, p.state.b, true);
    fit_of(start, z);
    so_newton_report report = steps(z, w, o);
    report.columns += columns;
    return report;
  }
  // From the point w to the solution there, with z = X w.  known: X' times the gradient at w, or null.  before: the strengths of the solution
  // to which the scores belong, or null: then groups that are likely to be 0 are looked at in the end alone.
  so_newton_report solve(double* z, double* w, const double* known, const double* before) {
    if (known && thinned::pays(p, loss.kind)) {
      const so_newton_report found = from_thinned(z, w);
      if (found.error < INFINITY) return known_all(found);
      memset(w, 0, size * sizeof(double));
    }
    memcpy(start, w, size * sizeof(double));
    so_bcd_rotate(p, start, p.state.b, true);
    fit_of(w, z);
    so_newton_options o = options;
    o.pulled = known != nullptr;
    if (known) memcpy(pull, known, size * sizeof(double));
    const bool best = known && p.design.n * columns_of(all, every) >= NOT_FEW && take_best(z, w, o);
    if (!best && !(before && leave_out(before))) return known_all(lowered(z, w, o));
    so_newton_report few = among_likely(z, w, o, best);
    working = all, count = every;
    if (few.error <= options.target || few.why == SO_INTERRUPTED) return few;
    memcpy(start, w, size * sizeof(double));
    o.part = 0, o.pulled = false;
    if (best) o.models = 0;  // a look at where it was given up
    so_newton_report seen = best ? steps(z, w, o) : lowered(z, w, o);
    seen.models += few.models, seen.columns += few.columns;
    return known_all(seen);
  }
  // The same over the likely groups, which become more until it is that over all; or a point where steps fell short.  best: from 0, far from
  // the solution, and so not far on the way to it as long as others enter.
  so_newton_report among_likely(double* z, double* w, so_newton_options& o, bool best) {
    int64_t models = 0, columns = 0;
    for (bool settled = !best;;) {
      const int64_t few_of = FEW_OF_ALL * columns_of(likely, count);
      o.part = settled || (few_of <= columns_of(all, every) && few_of <= p.design.n) ? 0 : LOOSE;
      so_newton_report few = lowered(z, w, o);
      if (few.why == SO_REACHED) settled = others_settled(few, best);
      few.models += models, few.columns += columns;
      if (few.why != SO_REACHED) few.error = few.gap = INFINITY;
      if (few.why != SO_REACHED || (settled && few.error <= options.target)) return few;
      models = few.models, columns = few.columns, o.pulled = true;
      memcpy(start, w, size * sizeof(double));
    }
  }
  int64_t columns_of(const int64_t* groups, int64_t k) const {
    int64_t sum = 0;
    for (int64_t i = 0; i < k; ++i) sum += p.groups.offsets[groups[i] + 1] - p.groups.offsets[groups[i]];
    return sum;
  }
  so_newton_report known_all(const so_newton_report& report) {
    bounds.move_to(p.state.r);
    for (int64_t i = 0; i < every; ++i) bounds.know(all[i], norms[all[i]]);
    return report;
  }
  // Whether the gap over the likely groups is that over all, since no other has a larger score, as bounds tell of those that are not read;
  // of the others that do, the largest are likely from then on, for best, and else all.
  bool others_settled(so_newton_report& few, bool best) {
    bounds.move_to(p.state.r);
    double level = loss.kind == SO_SQUARED ? 0 : 1;
    const int64_t *offsets = p.groups.offsets;
    for (int64_t i = 0; i < count; ++i) bounds.know(likely[i], norms[likely[i]]), level = std::fmax(level, scores[likely[i]]);
    for (int64_t i = 0; i < every; ++i) {
      const int64_t g = all[i];
      bounds.need[g] = !bounds.chosen[g] && !bounds.at_most(g, std::fmin(level, 1) * p.penalty.strength[g]);
      few.columns += bounds.need[g] ? offsets[g + 1] - offsets[g] : 0;
    }
    if (!bounds.read(pull, !best, poll)) few.why = SO_INTERRUPTED;
    for (int64_t i = 0; i < every; ++i) {
      const int64_t g = all[i];
      scores[g] = bounds.norms[g] / p.penalty.strength[g];
      if (!bounds.need[g]) continue;
      few.violation = std::fmax(few.violation, bounds.norms[g] - p.penalty.strength[g]);
      for (int64_t e = offsets[g] * p.state.outputs; e < offsets[g + 1] * p.state.outputs; ++e) pull[e] = -pull[e];  // as steps have them
    }
    return !enter(level, best ? std::max(few.active, AT_ONCE) : every);
  }
  // Groups that were read at the point where their scores are above this become likely, the largest of them: as many, or half as many as there
  // are.  Whether there are any.
  bool enter(double level, int64_t most) {
    int64_t others = 0;
    bool any = false;
    for (int64_t i = 0; i < every; ++i) {
      const int64_t g = all[i];
      if (bounds.chosen[g] || bounds.since[g] < bounds.way || scores[g] <= std::fmin(level, most < every ? NEARLY : level)) continue;
      any |= !(scores[g] <= level);
      if (scores[g] < INFINITY) likely[count + others++] = g;
      else bounds.chosen[g] = 1;  // also NaN, which has no place in an order
    }
    most = std::max(most, count / 2);
    int64_t* entering = likely + count;
    if (others > most) std::nth_element(entering, entering + most, entering + others, [this](int64_t g, int64_t h) { return scores[g] > scores[h]; });
    for (int64_t i = 0; i < others && i < most; ++i) bounds.chosen[entering[i]] = 1;
    count = 0;
    for (int64_t i = 0; i < every; ++i)
      if (bounds.chosen[all[i]]) likely[count++] = all[i];
    return any;
  }
  // Look at the groups of the largest gradients at 0 first, where others are many.
  bool take_best(double* z, double* w, so_newton_options look) {
    count = 0, look.models = 0;
    steps(z, w, look);
    bounds.move_to(p.state.r);
    for (int64_t i = 0; i < every; ++i) {
      const int64_t g = all[i], from = p.groups.offsets[g] * p.state.outputs, to = p.groups.offsets[g + 1] * p.state.outputs;
      double square = 0;
      for (int64_t e = from; e < to; ++e) square += pull[e] * pull[e];
      bounds.know(g, std::sqrt(square)), scores[g] = bounds.norms[g] / p.penalty.strength[g];
    }
    if (enter(1, AT_ONCE)) return others_many();
    count = every;
    return false;
  }
  so_newton_report lowered(double* z, double* w, const so_newton_options& o) {
    return loss.kind == SO_SQUARED ? squares(z, w, o) : steps(z, w, o);
  }
  // Look at the groups that are not 0 or pass the sequential strong rule (sparseopt/solvers/working_set.py), where others are many.
  bool leave_out(const double* before) {
    count = 0;
    for (int64_t i = 0; i < every; ++i) {
      const int64_t g = all[i], from = p.groups.offsets[g] * p.state.outputs, to = p.groups.offsets[g + 1] * p.state.outputs;
      bool zero = true;
      for (int64_t e = from; e < to && zero; ++e) zero = start[e] == 0;
      bounds.chosen[g] = !zero || scores[g] * before[g] >= 2 * p.penalty.strength[g] - before[g];
      if (bounds.chosen[g]) likely[count++] = g;
    }
    return others_many();
  }
  // Whether it pays to look at the likely groups alone; else all are.
  bool others_many() {
    const int64_t columns = columns_of(likely, count), left_out = columns_of(all, every) - columns;
    const bool many = left_out >= MANY_LEFT_OUT && left_out >= columns;
    working = many ? likely : all, count = many ? count : every;
    return many;
  }
  double smallest_strength() const {
    double least = INFINITY;
    for (int64_t i = 0; i < count; ++i) least = std::fmin(least, p.penalty.strength[working[i]]);
    return count > 0 ? least : 0;
  }
  // From the Gram matrix of the few columns that may move, where that pays; else sweeps, until as many are done as the matrix costs, and
  // looks at the point where that should be the solution, and is not yet.
  so_newton_report squares(double* z, double* w, so_newton_options look) {
    look.epochs = expected;
    so_newton_report seen = steps(z, w, look);
    so_bcd_options o = sweeps;
    look.target = std::fmax(look.target, look.part * seen.error);
    o.gap_target = look.target, o.settled *= smallest_strength(), o.kappa = kappa, o.judged = true;
    look.pulled = false, look.epochs = 0, look.part = 0;
    for (bool moves = seen.why != SO_REACHED; moves && !(seen.error <= look.target) && look.epochs < sweeps.max_epochs;) {
      const int64_t most = look.epochs > FIRST_SWEEPS ? look.epochs : FIRST_SWEEPS, left = sweeps.max_epochs - look.epochs;
      o.max_epochs = most < left ? most : left;
      for (int64_t i = 0; !p.state.share && i < length; ++i) p.state.r[i] *= p.design.n;
      const so_bcd_report swept = so_bcd_inner(p, working, count, scores, true, o, memory, poll);
      so_bcd_rotate(p, p.state.b, start, false);
      fit_of(start, z);
      const int64_t columns = seen.columns + swept.columns;
      look.epochs += swept.epochs;
      seen = steps(z, w, look);
      expected = std::max(expected, seen.models > 0 ? 2 * look.epochs : look.epochs);  // more would have been needed
      seen.models = 1, seen.columns += columns;
      if (swept.interrupted) seen.why = SO_INTERRUPTED;
      moves = swept.epochs > 0 && !swept.interrupted && swept.violation > o.settled;
      kappa = swept.kappa, o.kappa = 0;
    }
    return seen;
  }
};

}  // namespace

int64_t so_descend_path_workspace(const so_problem& problem, int kind, int64_t anderson) {
  return descent_path::own_memory(problem) + thinned::memory(problem, kind) + so_newton_workspace(problem, kind, anderson);
}

int64_t so_descend_path(const so_problem& problem, const so_loss& loss, const int64_t* working, int64_t count, const so_strengths& path,
                        const so_descent_path& out, const so_newton_options& options, const so_bcd_options& sweeps, double* workspace,
                        const so_poll& poll) {
  descent_path run(problem, loss, working, count, options, sweeps, poll, out.lengths, workspace);
  for (int64_t l = path.first; l < path.count; ++l) {
    if (l > path.first && asked_to_end(poll)) return l;
    const double begun = now();
    run.p.penalty.strength = path.strength + l * problem.groups.count;
    go_ahead(out.w, run.size, l, length_ahead(path, l));
    const int64_t row = l - path.first;
    const double *known = row == 0 ? out.at_zero : nullptr, *before = row == 0 ? nullptr : run.p.penalty.strength - problem.groups.count;
    so_newton_report& report = out.reports[row] = run.solve(out.z + row * run.length, out.w + l * run.size, known, before);
    out.seconds[row] = now() - begun;
    if (report.why == SO_INTERRUPTED) report.error = report.gap = INFINITY;
    if (!(report.error <= options.target)) return l + 1;
  }
  return path.count;
}

int64_t so_gram_path(const so_problem& problem, const so_gram& gram, const so_strengths& path, double* b, double* pull, int64_t* epochs,
                     double* seconds, const so_bcd_options& options, double* workspace, const so_poll& poll) {
  so_problem p = problem;
  so_gram q = gram;
  so_bcd_options o = options;
  for (int64_t l = path.first; l < path.count; ++l) {
    if (l > path.first && asked_to_end(poll)) return l;
    const double begun = now();
    p.penalty.strength = path.strength + l * p.groups.count;
    if (path.first > 0) {
      const double length = length_ahead(path, l);
      go_ahead(b, q.p, l, length), go_ahead(pull, q.p, l, length);
    }
    q.pull = pull + l * q.p;
    so_bcd_rotate(p, b + l * q.p, p.state.b, true);
    const so_bcd_report report = so_gram_inner(p, q, o, workspace, poll);
    so_bcd_rotate(p, p.state.b, b + l * q.p, false);
    o.kappa = report.kappa, epochs[l] = report.epochs, seconds[l] = now() - begun;
    if (report.interrupted) return l + 1;
  }
  return path.count;
}
