// Passes over grids of blocks: chunks of blocks shared out between threads (OpenMP), leaf kernels of the chosen instruction set
// inside. What belongs to blocks is spread to a row of columns once for every row of blocks, and columns are folded back to
// blocks in double precision: the leaf kernels see plain rows, whatever the shape of the blocks.
#include "../grid.h"

#include "../lines.h"
#include "../projection.h"
#include "../radial.h"
#include "careful_norm.h"
#include "grid_tasks.h"
#include "rows.h"

#include <math.h>
#include <string.h>

#include <algorithm>
#include <vector>

namespace {

// |a + b| of one block, without overflow or underflow on the way.
template <class T> double careful_norm(const T* a, const T* b, const so_grid& g, int64_t cell) {
  const int64_t across = (g.channels + g.bc - 1) / g.bc, t = cell % g.taps, column = cell / g.taps % across * g.bc;
  const int64_t row = cell / g.taps / across * g.br, first = row * g.ld + column * g.taps + t;
  const int64_t rows = std::min(g.rows - row, g.br), cols = std::min(g.channels - column, g.bc);
  if (g.taps == 1 && !b && so_all_zero(a + first, rows, cols, g.ld)) return 0;
  return so_careful_norm(rows, cols, [=](int64_t i, int64_t j) {
    const int64_t at = first + i * g.ld + j * g.taps;
    return (double)(b ? a[at] + b[at] : a[at]);
  });
}

// norm(cell, |a + b|) for every block of a task; b may be null.
template <class T, class Norm>
void norms_of(const task& t, scratch<T>& memory, const T* const* a, const T* const* b, Norm norm) {
  const T *x = a[t.matrix], *y = b ? b[t.matrix] : nullptr;
  reduce(
      t, memory,
      [&](int64_t at, int64_t width, T* sums, so_band band) {
        if (y) leaves<T>().add_sum_squares(x + at, y + at, width, sums, band);
        else leaves<T>().add_products(x + at, x + at, width, sums, band);
      },
      [&](int64_t cell, double sum) { norm(cell, so_safe(T(0), sum) ? sqrt(sum) : careful_norm(x, y, t.g, cell)); });
}

bool wide_norms(const so_grid& g) { return plain(g) && g.bc >= 16; }  // 16 columns at a time
bool wide_masks(const so_grid& g) { return plain(g) && g.bc >= 8; }   // runs of zeros without reading
bool narrow_norms(const so_grid& g) { return !wide_norms(g); }
bool narrow_masks(const so_grid& g) { return !wide_masks(g); }
bool not_plain(const so_grid& g) { return !plain(g); }

// Matrices that stay in no cache, in blocks of whole lines.
template <class T> bool in_lines(const so_grid& g) {
  return so_lines_take<T>(g) && g.rows * g.channels * (int64_t)sizeof(T) >= so_stream_bytes;
}
template <class T> bool not_in_lines(const so_grid& g) { return !in_lines<T>(g); }

// |w| of the blocks of the matrices with wide ones.
template <class T> void wide(const T* const* w, T* const* norms, const so_grids& grids) {
  for (int64_t k = grids.count - 1; k >= 0; --k)
    if (wide_norms(grids.layout[k])) so_block_norms(w[k], norms[k], plain_blocks(grids.layout[k]), grids.threads);
}

// Whether what is written goes past the cache, which it would fill.
template <class T> bool streams(const T* w, const T* out, const list& tasks) {
  return w != out && tasks.entries * (int64_t)sizeof(T) >= so_stream_bytes;
}

// out = w times one number for each block; past the cache where out is large and not w.
template <class T, class S>
void scaled(const T* const* w, const S* const* values, T* const* out, const list& tasks, int threads) {
  for_tasks<T>(tasks, backwards, 1, threads, [&](const task& t, int64_t, scratch<T>& memory) {
    const T* from = w[t.matrix];
    T* to = out[t.matrix];
    const bool stream = streams(from, to, tasks);
    const so_per_block<T> factors = t.spread(values[t.matrix] + t.cells(), memory, 0);
    leaves<T>().scale(from + t.start, factors, to + t.start, stream, t.band(), 0);
  });
}

// The norms of narrow blocks, and out = w times one number for each of them, which may be the norm.
template <class T, class S>
void normed(const T* const* w, T* const* norms, const S* const* values, T* const* out, const so_grids& grids) {
  const list tasks(grids, narrow_norms);
  for_tasks<T>(tasks, backwards, 2, grids.threads, [&](const task& t, int64_t, scratch<T>& memory) {
    const T* from = w[t.matrix];
    T *found = norms[t.matrix], *to = out[t.matrix];
    norms_of<T>(t, memory, w, nullptr, [&](int64_t cell, double norm) { found[cell] = (T)norm; });
    const so_per_block<T> factors = t.spread(values[t.matrix] + t.cells(), memory, 1);
    leaves<T>().scale(from + t.start, factors, to + t.start, streams<T>(from, to, tasks), t.band(), t.behind);
  });
}

// g += w times one number for each block, which change(numbers, count) may change before.
template <class T, class S, class Change>
void added(const T* const* w, const S* const* values, T* const* g, const list& tasks, int threads, Change change) {
  for_tasks<T>(tasks, forwards, 1, threads, [&](const task& t, int64_t, scratch<T>& memory) {
    const so_per_block<T> factors = t.spread(values[t.matrix] + t.cells(), memory, 0);
    change(memory.row(0), factors.width ? t.count : t.columns);
    leaves<T>().add_scaled(w[t.matrix] + t.start, factors, g[t.matrix] + t.start, t.band());
  });
}

}  // namespace

template <class T> void so_grid_dots(const T* const* a, const T* const* b, T* const* dots, const so_grids& grids) {
  for (int64_t k = 0; k < grids.count; ++k)
    if (in_lines<T>(grids.layout[k])) so_lines_dots(a[k], b[k], dots[k], grids.layout[k], grids.threads);
  const list tasks(grids, not_in_lines<T>);
  for_tasks<T>(tasks, forwards, 1, grids.threads, [&](const task& t, int64_t, scratch<T>& memory) {
    const T *x = a[t.matrix], *y = b[t.matrix];
    reduce(
        t, memory,
        [&](int64_t at, int64_t width, T* sums, so_band band) {
          leaves<T>().add_products(x + at, y + at, width, sums, band);
        },
        [&](int64_t cell, double sum) { dots[t.matrix][cell] = (T)sum; });
  });
}

template <class T>
void so_grid_sum_norms(const T* const* a, const T* const* b, T* const* norms, const so_grids& grids) {
  for (int64_t k = grids.count - 1; k >= 0; --k)
    if (in_lines<T>(grids.layout[k])) so_lines_sum_norms(a[k], b[k], norms[k], grids.layout[k], grids.threads);
  const list tasks(grids, not_in_lines<T>);
  for_tasks<T>(tasks, backwards, 1, grids.threads, [&](const task& t, int64_t, scratch<T>& memory) {
    norms_of(t, memory, a, b, [&](int64_t cell, double norm) { norms[t.matrix][cell] = (T)norm; });
  });
}

template <class T> void so_grid_norms(const T* const* w, T* const* norms, const so_grids& grids) {
  wide(w, norms, grids);
  const list tasks(grids, narrow_norms);
  for_tasks<T>(tasks, backwards, 1, grids.threads, [&](const task& t, int64_t, scratch<T>& memory) {
    norms_of<T>(t, memory, w, nullptr, [&](int64_t cell, double norm) { norms[t.matrix][cell] = (T)norm; });
  });
}

template <class T> void so_grid_scale(const T* const* w, const T* const* scale, T* const* out, const so_grids& grids) {
  auto streamed = [&](int64_t k) { return w[k] != out[k] && in_lines<T>(grids.layout[k]); };
  for (int64_t k = grids.count - 1; k >= 0; --k)
    if (streamed(k)) so_lines_scale(w[k], scale[k], out[k], grids.layout[k], grids.threads);
  const list tasks(grids, [&](const so_grid& g) { return !streamed(&g - grids.layout); });
  scaled(w, scale, out, tasks, grids.threads);
}

template <class T> void so_grid_mask(const T* const* w, const uint8_t* const* kept, T* const* out, const so_grids& grids) {
  for (int64_t k = grids.count - 1; k >= 0; --k)
    if (wide_masks(grids.layout[k])) so_keep_blocks(w[k], out[k], plain_blocks(grids.layout[k]), kept[k], grids.threads);
  const list tasks(grids, narrow_masks);
  const order way = w == out ? backwards : forwards;  // out of place behind a pass for the norms, which ended at the first
  for_tasks<T>(tasks, way, 1, grids.threads, [&](const task& t, int64_t, scratch<T>& memory) {
    const T* from = w[t.matrix];
    T* to = out[t.matrix];
    const bool stream = streams(from, to, tasks);
    const so_per_block<T> factors = t.spread(kept[t.matrix] + t.cells(), memory, 0);
    if (from == to) leaves<T>().mask(to + t.start, factors, t.band());
    else leaves<T>().scale(from + t.start, factors, to + t.start, stream, t.band(), 0);
  });
}

template <class T>
void so_grid_mask_norms(const T* const* w, const uint8_t* const* kept, T* const* norms, T* const* out, const so_grids& grids) {
  for (int64_t k = grids.count - 1; k >= 0; --k) {
    if (!wide_norms(grids.layout[k])) continue;
    const so_blocks blocks = plain_blocks(grids.layout[k]);
    so_block_norms(w[k], norms[k], blocks, grids.threads);
    so_keep_blocks(w[k], out[k], blocks, kept[k], grids.threads);
  }
  normed(w, norms, kept, out, grids);
}

template <class T> void so_grid_remask(const so_remasked<T>& given, const so_grids& grids) {
  for_tasks<T>(list(grids, all), forwards, 1, grids.threads, [&](const task& t, int64_t, scratch<T>& memory) {
    const uint8_t* const changed = given.changed[t.matrix] + t.cells();
    const auto changes = [&](int64_t b, int64_t n) { return memchr(changed + b * t.g.taps, 1, n * t.g.taps); };
    if (!changes(0, t.count)) return;
    const so_per_block<T> kept = t.spread(given.kept[t.matrix] + t.cells(), memory, 0);
    for (int64_t b = 0; b < t.count; ++b) {
      if (!changes(b, 1)) continue;
      const int64_t column = b * t.g.bc * t.g.taps, at = t.start + column;
      const so_per_block<T> factors = {kept.values + (kept.width ? b : column), kept.width};
      leaves<T>().scale(given.w[t.matrix] + at, factors, given.out[t.matrix] + at, false, {t.rows, t.g.ld, t.width(b) * t.g.taps}, 0);
    }
  });
}

template <class T> void so_grid_power(const T* const* w, T* const* norms, T* const* out, const so_grids& grids) {
  wide(w, norms, grids);
  scaled(w, (const T* const*)norms, out, list(grids, wide_norms), grids.threads);
  normed(w, norms, (const T* const*)norms, out, grids);
}

template <class T> void so_grid_power_vjp(const T* const* w, const T* const* norms, T* const* g, const so_grids& grids) {
  for_tasks<T>(list(grids, all, short_tasks), forwards, 4, grids.threads, [&](const task& t, int64_t, scratch<T>& memory) {
    const T *x = w[t.matrix], *norm = norms[t.matrix];
    T *y = g[t.matrix], *along = memory.row(3);
    const int64_t first = t.cells();
    reduce(
        t, memory,
        [&](int64_t at, int64_t width, T* sums, so_band band) {
          leaves<T>().add_products(x + at, y + at, width, sums, band);
        },
        [&](int64_t cell, double sum) { along[cell - first] = norm[cell] > 0 ? (T)sum / norm[cell] : norm[cell]; });
    const T *factors = t.spread_columns(norm + first, memory, 1), *added = t.spread_columns(along, memory, 2);
    leaves<T>().combine(x + t.start, added, y + t.start, factors, t.band(), t.rows * t.columns <= most_fetched ? t.ahead : 0);
  });
}

template <class T> void so_grid_prox(T* const* w, T* const* norms, const so_prox* prox, const so_grids& grids) {
  for (int64_t k = grids.count - 1; k >= 0; --k)
    if (plain(grids.layout[k])) so_block_prox(w[k], w[k], norms[k], plain_blocks(grids.layout[k]), prox[k], grids.threads);
  const list tasks(grids, not_plain);
  for_tasks<T>(tasks, backwards, 3, grids.threads, [&](const task& t, int64_t, scratch<T>& memory) {
    const so_prox& p = prox[t.matrix];
    T *x = w[t.matrix], *scale = memory.row(2);
    const int64_t first = t.cells();
    norms_of<T>(t, memory, w, nullptr, [&](int64_t cell, double norm) {
      norms[t.matrix][cell] = (T)norm;
      scale[cell - first] = (T)so_radial_scale(p.kind, p.parameter, norm, p.step[p.per_block ? cell : 0]);
    });
    const so_per_block<T> factors = t.spread(scale, memory, 1);
    leaves<T>().scale(x + t.start, factors, x + t.start, false, t.band(), t.behind);
  });
}

template <class T> void so_grid_scale_vjp(const so_scale_vjp<T>& given, const so_grids& grids) {
  for_tasks<T>(list(grids, all), forwards, 2, grids.threads, [&](const task& t, int64_t, scratch<T>& memory) {
    const T *w = given.w[t.matrix], *g = given.g[t.matrix];
    T *dw = given.dw[t.matrix], *dscale = given.dscale[t.matrix];
    const so_per_block<T> factors = t.spread(given.scale[t.matrix] + t.cells(), memory, 1);
    reduce(
        t, memory,
        [&](int64_t at, int64_t, T* sums, so_band band) {
          leaves<T>().scale_vjp(w + at, g + at, factors, dw + at, sums, band);
        },
        [&](int64_t cell, double sum) { dscale[cell] = (T)sum; });
  });
}

template <class T> void so_grid_admm(const so_triple<T>& triple, double* residuals, const so_grids& grids) {
  const list tasks(grids, all);
  std::vector<double> partial(2 * tasks.count());
  for_tasks<T>(tasks, backwards, 3, grids.threads, [&](const task& t, int64_t index, scratch<T>& memory) {
    T *primal = memory.row(1), *dual = memory.row(2);
    const so_per_block<T> kept = t.spread(triple.kept[t.matrix] + t.cells(), memory, 0);
    const int64_t sums = kept.width ? line_of<T>() : t.columns;
    const int64_t rows = std::max<int64_t>(1, terms_between_folds * sums / t.columns);
    for (int64_t i = 0, at = t.start; i < t.rows; i += rows, at += rows * t.g.ld) {
      const so_band band = t.band(std::min(rows, t.rows - i));
      leaves<T>().triple(triple.w[t.matrix] + at, triple.z[t.matrix] + at, triple.u[t.matrix] + at, kept, primal, dual, band);
      partial[2 * index] += so_lane_sum(primal, sums);
      partial[2 * index + 1] += so_lane_sum(dual, sums);
      std::fill_n(primal, sums, T(0));
      std::fill_n(dual, sums, T(0));
    }
  });
  std::fill_n(residuals, 2 * grids.count, 0.0);
  for (int64_t i = 0; i < tasks.count(); ++i)
    for (int64_t k = 0; k < 2; ++k) residuals[2 * tasks[i].matrix + k] += partial[2 * i + k];
}

template <class T> void so_grid_augment(const so_triple<T>& triple, T* const* g, double rho, const so_grids& grids) {
  for_tasks<T>(list(grids, all), forwards, 0, grids.threads, [&](const task& t, int64_t, scratch<T>&) {
    const int64_t k = t.matrix, at = t.start;
    leaves<T>().augment(triple.w[k] + at, triple.z[k] + at, triple.u ? triple.u[k] + at : nullptr, g[k] + at, (T)rho, t.band());
  });
}

template <class T> void so_grid_add_scaled(const T* const* w, const T* const* scale, T* const* g, const so_grids& grids) {
  added(w, scale, g, list(grids, all), grids.threads, [](T*, int64_t) {});
}

template <class T>
void so_grid_decay(const T* const* w, T* const* g, const uint8_t* const* kept, double pull, const so_grids& grids) {
  for (int64_t k = 0; k < grids.count; ++k)
    if (in_lines<T>(grids.layout[k])) so_lines_decay(w[k], g[k], kept[k], pull, grids.layout[k], grids.threads);
  added(w, kept, g, list(grids, not_in_lines<T>), grids.threads, [=](T* values, int64_t n) {
    for (int64_t j = 0; j < n; ++j) values[j] = so_decay_factor((T)pull, values[j]);
  });
}

#define SO_INSTANCES(T)                                                                                     \
  template void so_grid_dots(const T* const*, const T* const*, T* const*, const so_grids&);                 \
  template void so_grid_norms(const T* const*, T* const*, const so_grids&);                                 \
  template void so_grid_sum_norms(const T* const*, const T* const*, T* const*, const so_grids&);            \
  template void so_grid_scale(const T* const*, const T* const*, T* const*, const so_grids&);                \
  template void so_grid_mask(const T* const*, const uint8_t* const*, T* const*, const so_grids&);           \
  template void so_grid_remask(const so_remasked<T>&, const so_grids&);                                     \
  template void so_grid_mask_norms(const T* const*, const uint8_t* const*, T* const*, T* const*, const so_grids&); \
  template void so_grid_scale_vjp(const so_scale_vjp<T>&, const so_grids&);                                 \
  template void so_grid_power(const T* const*, T* const*, T* const*, const so_grids&);                      \
  template void so_grid_power_vjp(const T* const*, const T* const*, T* const*, const so_grids&);            \
  template void so_grid_prox(T* const*, T* const*, const so_prox*, const so_grids&);                        \
  template void so_grid_admm(const so_triple<T>&, double*, const so_grids&);                                \
  template void so_grid_add_scaled(const T* const*, const T* const*, T* const*, const so_grids&);           \
  template void so_grid_augment(const so_triple<T>&, T* const*, double, const so_grids&);                   \
  template void so_grid_decay(const T* const*, T* const*, const uint8_t* const*, double, const so_grids&);
SO_INSTANCES(float)
SO_INSTANCES(double)

#ifndef SO_WITH_CUDA
int64_t so_grid_cuda_work(const so_grid&) { return 0; }
bool so_grid_cuda_takes(const so_grid&) { return false; }
int so_grid_cuda(const so_grid_call*, int64_t, so_stream) { return -1; }
#endif
