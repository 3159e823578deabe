// Passes over grids of blocks: chunks of blocks shared out between threads (OpenMP), leaf kernels of the chosen instruction set
// inside. What belongs to blocks is spread to a row of columns once for every row of blocks, and columns are folded back to
// blocks in double precision: the leaf kernels see plain rows, whatever the shape of the blocks.
#include "../grid.h"

#include "../block.h"
#include "grid_table.h"
#include "isa.h"
#include "rows.h"

#include <math.h>

#include <algorithm>
#include <vector>

namespace {

const int64_t chunk_columns = 4096;         // of a task, or one block: a row of sums and one of scales stay in the cache
const int64_t terms_between_folds = 64;     // sums of more terms in single precision would lose digits
const int64_t parallel_entries = 1 << 15;   // below this a second thread costs more than it saves

const so_grid_kernels& table() {
#ifdef SO_MULTI_ISA
  return so_isa_level() >= 4 ? so_grid_v4 : so_isa_level() >= 3 ? so_grid_v3 : so_grid_baseline;
#else
  return so_grid_baseline;
#endif
}

template <class T> const so_grid_rows<T>& leaves();
template <> const so_grid_rows<float>& leaves<float>() { return table().f32; }
template <> const so_grid_rows<double>& leaves<double>() { return table().f64; }

template <class T> constexpr int64_t line_of() { return SO_GRID_LINE / sizeof(T); }

// Sum in double precision, in 8 lanes.
template <class T> double sum_of(const T* x, int64_t n) {
  double lanes[8] = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int l = 0; l < 8; ++l) lanes[l] += (double)x[i + l];
  for (int l = 0; i + l < n; ++l) lanes[l] += (double)x[i + l];
  for (int l = 4; l; l /= 2)
    for (int k = 0; k < l; ++k) lanes[k] += lanes[k + l];
  return lanes[0];
}

// Blocks first, ..., first + count - 1 (all their taps) of one row of blocks.
struct task {
  const so_grid& g;
  int64_t block_row, first, count, start, columns, rows;  // start: offset of the first entry; columns, rows: its size
  // of a block, where the leaf kernels take whole blocks, else 0
  template <class T> int64_t whole() const { return g.taps == 1 && g.bc % line_of<T>() == 0 && g.channels % g.bc == 0 ? g.bc : 0; }
  int64_t width(int64_t b) const { return std::min(g.bc, g.channels - (first + b) * g.bc); }
  int64_t cells() const { return (block_row * ((g.channels + g.bc - 1) / g.bc) + first) * g.taps; }

  // to <- one number for each block and tap, or for each of their columns: what the leaf kernels take
  template <class S, class T> so_per_block<T> spread(const S* values, T* to) const {
    const so_per_block<T> found = {to, whole<T>()};
    values += cells();
    if (found.width) {
      for (int64_t b = 0; b < count; ++b) to[b] = (T)values[b];
    } else if (g.taps == 1 && g.bc > 1) {
      for (int64_t b = 0; b < count; to += width(b++)) std::fill_n(to, width(b), (T)values[b]);
    } else {
      for (int64_t b = 0; b < count; ++b, values += g.taps)
        for (int64_t i = 0, n = width(b); i < n; ++i, to += g.taps)
          for (int64_t t = 0; t < g.taps; ++t) to[t] = (T)values[t];
    }
    return found;
  }

  // sums [count, taps] += columns, which become 0
  template <class T> void fold(T* from, double* sums) const {
    if (g.taps == 1 && g.bc > 1) {
      for (int64_t b = 0; b < count; ++b) {
        const int64_t n = whole<T>() ? line_of<T>() : width(b);
        sums[b] += sum_of(from, n);
        std::fill(from, from + n, T(0));
        from += n;
      }
      return;
    }
    for (int64_t b = 0; b < count; ++b, sums += g.taps)
      for (int64_t i = 0, n = width(b); i < n; ++i, from += g.taps)
        for (int64_t t = 0; t < g.taps; ++t) {
          sums[t] += (double)from[t];
          from[t] = T(0);
        }
  }
};

struct tasks {
  const so_grid& g;
  int64_t down, across, per_task, chunks;
  explicit tasks(const so_grid& g) : g(g) {
    down = (g.rows + g.br - 1) / g.br;
    across = (g.channels + g.bc - 1) / g.bc;
    per_task = std::max<int64_t>(1, chunk_columns / (g.bc * g.taps));
    chunks = (across + per_task - 1) / per_task;
  }
  int64_t count() const { return down * chunks; }
  int64_t widest() const { return std::min(per_task * g.bc, g.channels) * g.taps; }
  task operator[](int64_t i) const {
    const int64_t row = i / chunks, first = i % chunks * per_task, count = std::min(per_task, across - first);
    const int64_t columns = (std::min(g.channels, (first + count) * g.bc) - first * g.bc) * g.taps;
    return {g, row, first, count, row * g.br * g.ld + first * g.bc * g.taps, columns, std::min(g.br, g.rows - row * g.br)};
  }
};

// body(task, index, scratch) for all tasks; scratch: `buffers` rows of zeros as wide as the widest task.
template <class T, class Body> void for_tasks(const so_grid& g, int buffers, int threads, Body body) {
  const tasks all(g);
  const int64_t wanted = g.rows * g.channels * g.taps < parallel_entries ? 1 : threads > 0 ? threads : so_threads();
  const int64_t n = std::min(wanted, all.count()), width = all.widest();
#pragma omp parallel for schedule(static, 1) num_threads(n) if (n > 1)
  for (int64_t p = 0; p < n; ++p) {
    const int64_t padded = (width * sizeof(T) + 63) / 64 * 64 / sizeof(T);  // rows start at cache lines
    std::vector<T> memory(buffers * padded + 64 / sizeof(T), T(0));
    T* scratch = memory.data() + (64 - (uintptr_t)memory.data() % 64) % 64 / sizeof(T);
    for (int64_t i = p * all.count() / n; i < (p + 1) * all.count() / n; ++i) body(all[i], i, scratch, padded);
  }
}

// row(offset, width of whole blocks, sums, columns) for the rows of a task; store(sums of the blocks)
template <class T, class Row, class Store> void reduce(const task& t, T* columns, Row row, Store store) {
  std::vector<double> sums(t.count * t.g.taps, 0.0);
  const int64_t width = t.whole<T>(), terms = std::max<int64_t>(1, width / line_of<T>());
  const int64_t rows = std::max<int64_t>(1, terms_between_folds / terms);
  for (int64_t i = 0; i < t.rows; ++i) {
    row(t.start + i * t.g.ld, width, columns, t.columns);
    if ((i + 1) % rows == 0 || i + 1 == t.rows) t.fold(columns, sums.data());
  }
  for (size_t k = 0; k < sums.size(); ++k) store(t.cells() + (int64_t)k, sums[k]);
}

// |a + b| of one block, without overflow or underflow on the way.
template <class T> double careful_norm(const T* a, const T* b, const so_grid& g, int64_t cell) {
  const int64_t across = (g.channels + g.bc - 1) / g.bc, t = cell % g.taps, column = cell / g.taps % across * g.bc;
  const int64_t row = cell / g.taps / across * g.br;
  const int64_t last_row = std::min(g.rows, row + g.br), last = std::min(g.channels, column + g.bc);
  double norm = 0;
  bool zero = true;
  for (int pass = 0; pass < 2; ++pass) {  // most blocks that come here are 0
    for (int64_t i = row; i < last_row; ++i)
      for (int64_t j = column; j < last; ++j) {
        const int64_t at = i * g.ld + j * g.taps + t;
        const double x = b ? a[at] + b[at] : a[at];
        if (pass) norm = hypot(norm, x);
        else zero &= x == 0;
      }
    if (zero) return 0;
  }
  return norm;
}

bool safe(float, double sum) { return sum >= 1e-30 && sum <= 1e38; }
bool safe(double, double sum) { return sum >= 1e-280 && sum <= 1e308; }

}  // namespace

template <class T> void so_grid_dots(const T* a, const T* b, T* dots, const so_grid& grid, int threads) {
  for_tasks<T>(grid, 1, threads, [&](const task& t, int64_t, T* columns, int64_t) {
    reduce(t, columns,
           [&](int64_t at, int64_t width, T* sums, int64_t n) { leaves<T>().add_products(a + at, b + at, width, sums, n); },
           [&](int64_t cell, double sum) { dots[cell] = (T)sum; });
  });
}

template <class T> void so_grid_sum_norms(const T* a, const T* b, T* norms, const so_grid& grid, int threads) {
  for_tasks<T>(grid, 1, threads, [&](const task& t, int64_t, T* columns, int64_t) {
    reduce(
        t, columns,
        [&](int64_t at, int64_t width, T* sums, int64_t n) {
          if (b) leaves<T>().add_sum_squares(a + at, b + at, width, sums, n);
          else leaves<T>().add_products(a + at, a + at, width, sums, n);
        },
        [&](int64_t cell, double sum) { norms[cell] = (T)(safe(T(0), sum) ? sqrt(sum) : careful_norm(a, b, grid, cell)); });
  });
}

// out = w times one number for each block; past the cache where out is large and not w.
template <class T, class S> void scaled(const T* w, const S* values, T* out, bool only_kept, const so_grid& grid, int threads) {
  const bool stream = w != out && grid.rows * grid.channels * (int64_t)sizeof(T) >= so_stream_bytes;
  for_tasks<T>(grid, 1, threads, [&](const task& t, int64_t, T* row, int64_t) {
    const so_per_block<T> factors = t.spread(values, row);
    if (stream && factors.width) {
      const so_writing<T> all = {w + t.start, out + t.start, grid.ld, grid.ld, t.count, factors.values, true};
      return so_rows<T>().sweep({}, all, t.rows, grid.bc);
    }
    for (int64_t i = 0, at = t.start; i < t.rows; ++i, at += grid.ld)
      if (only_kept && w == out) leaves<T>().mask(out + at, factors, t.columns);
      else leaves<T>().scale(w + at, factors, out + at, t.columns);
  });
}

template <class T> void so_grid_scale(const T* w, const T* scale, T* out, const so_grid& grid, int threads) {
  scaled(w, scale, out, false, grid, threads);
}

template <class T> void so_grid_mask(const T* w, const uint8_t* kept, T* out, const so_grid& grid, int threads) {
  scaled(w, kept, out, true, grid, threads);
}

template <class T>
void so_grid_scale_vjp(const T* w, const T* g, const T* scale, T* dw, T* dscale, const so_grid& grid, int threads) {
  for_tasks<T>(grid, 2, threads, [&](const task& t, int64_t, T* scratch, int64_t width) {
    const so_per_block<T> factors = t.spread(scale, scratch + width);
    reduce(t, scratch,
           [&](int64_t at, int64_t, T* sums, int64_t n) { leaves<T>().scale_vjp(w + at, g + at, factors, dw + at, sums, n); },
           [&](int64_t cell, double sum) { dscale[cell] = (T)sum; });
  });
}

template <class T> void so_grid_admm(const so_triple<T>& triple, double* residuals, const so_grid& grid, int threads) {
  std::vector<double> partial(2 * tasks(grid).count());
  for_tasks<T>(grid, 3, threads, [&](const task& t, int64_t index, T* scratch, int64_t width) {
    T *primal = scratch + width, *dual = primal + width;
    const so_per_block<T> kept = t.spread(triple.kept, scratch);
    const int64_t sums = kept.width ? line_of<T>() : t.columns;
    const int64_t rows = std::max<int64_t>(1, terms_between_folds * sums / t.columns);
    for (int64_t i = 0, at = t.start; i < t.rows; ++i, at += grid.ld) {
      leaves<T>().triple(triple.w + at, triple.z + at, triple.u + at, kept, primal, dual, t.columns);
      if ((i + 1) % rows && i + 1 < t.rows) continue;
      partial[2 * index] += sum_of(primal, sums);
      partial[2 * index + 1] += sum_of(dual, sums);
      std::fill_n(primal, sums, T(0));
      std::fill_n(dual, sums, T(0));
    }
  });
  residuals[0] = residuals[1] = 0;
  for (size_t i = 0; i < partial.size(); ++i) residuals[i % 2] += partial[i];
}

template <class T> void so_grid_augment(const so_triple<T>& triple, T* g, double rho, const so_grid& grid, int threads) {
  for_tasks<T>(grid, 0, threads, [&](const task& t, int64_t, T*, int64_t) {
    for (int64_t i = 0, at = t.start; i < t.rows; ++i, at += grid.ld)
      leaves<T>().augment(triple.w + at, triple.z + at, triple.u + at, g + at, (T)rho, t.columns);
  });
}

template <class T> void so_grid_add_scaled(const T* w, const T* scale, T* g, const so_grid& grid, int threads) {
  for_tasks<T>(grid, 1, threads, [&](const task& t, int64_t, T* row, int64_t) {
    const so_per_block<T> factors = t.spread(scale, row);
    for (int64_t i = 0, at = t.start; i < t.rows; ++i, at += grid.ld) leaves<T>().add_scaled(w + at, factors, g + at, t.columns);
  });
}

template <class T>
void so_grid_decay(const T* w, T* g, const uint8_t* kept, double pull, const so_grid& grid, int threads) {
  for_tasks<T>(grid, 1, threads, [&](const task& t, int64_t, T* row, int64_t) {
    const so_per_block<T> factors = t.spread(kept, row);
    for (int64_t j = 0; j < (factors.width ? t.count : t.columns); ++j) row[j] = so_decay_factor((T)pull, row[j]);
    for (int64_t i = 0, at = t.start; i < t.rows; ++i, at += grid.ld) leaves<T>().add_scaled(w + at, factors, g + at, t.columns);
  });
}

#define SO_INSTANCES(T)                                                                                \
  template void so_grid_dots(const T*, const T*, T*, const so_grid&, int);                             \
  template void so_grid_sum_norms(const T*, const T*, T*, const so_grid&, int);                        \
  template void so_grid_scale(const T*, const T*, T*, const so_grid&, int);                            \
  template void so_grid_mask(const T*, const uint8_t*, T*, const so_grid&, int);                       \
  template void so_grid_scale_vjp(const T*, const T*, const T*, T*, T*, const so_grid&, int);          \
  template void so_grid_admm(const so_triple<T>&, double*, const so_grid&, int);                       \
  template void so_grid_add_scaled(const T*, const T*, T*, const so_grid&, int);                       \
  template void so_grid_augment(const so_triple<T>&, T*, double, const so_grid&, int);                 \
  template void so_grid_decay(const T*, T*, const uint8_t*, double, const so_grid&, int);
SO_INSTANCES(float)
SO_INSTANCES(double)

#ifndef SO_WITH_CUDA
int64_t so_grid_cuda_work(const so_grid&) { return 0; }
bool so_grid_cuda_takes(const so_grid&) { return false; }
int so_grid_cuda(const so_grid_call&, so_stream) { return -1; }
#endif
