// Passes over whole lines: rows of blocks shared out between threads (OpenMP), leaf kernels of the chosen instruction set inside.
#include "../lines.h"

#include "../block.h"
#include "careful_norm.h"
#include "isa.h"
#include "lane_sums.h"
#include "lines_table.h"
#include "rows.h"

#include <math.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <vector>

namespace {

const int64_t parallel_entries = 1 << 15;  // below this a second thread costs more than it saves

const so_lines_kernels& table() {
#ifdef SO_MULTI_ISA
  return so_isa_level() >= 4 ? so_lines_v4 : so_isa_level() >= 3 ? so_lines_v3 : so_lines_baseline;
#else
  return so_lines_baseline;
#endif
}

template <class T> const so_line_rows<T>& leaves();
template <> const so_line_rows<float>& leaves<float>() { return table().f32; }
template <> const so_line_rows<double>& leaves<double>() { return table().f64; }

template <class T> constexpr int64_t lanes() { return SO_LINE_BYTES / sizeof(T); }

int64_t across(const so_grid& g) { return g.channels / g.bc; }
int64_t down(const so_grid& g) { return (g.rows + g.br - 1) / g.br; }

// Memory of zeros at a cache line.
template <class T> struct zeros {
  std::vector<T> memory;
  explicit zeros(int64_t n) : memory(n + lanes<T>(), T(0)) {}
  T* start() { return memory.data() + (SO_LINE_BYTES - (uintptr_t)memory.data() % SO_LINE_BYTES) % SO_LINE_BYTES / sizeof(T); }
};

// body(row of blocks, first row, row after the last one, scratch) for all rows of blocks.
template <class T, class Body> void for_block_rows(const so_grid& g, int64_t scratch, int threads, Body body) {
  const int64_t wanted = g.rows * g.channels < parallel_entries ? 1 : threads > 0 ? threads : so_threads();
  const int64_t n = std::min(wanted, down(g));
#pragma omp parallel for schedule(static, 1) num_threads(n) if (n > 1)
  for (int64_t p = 0; p < n; ++p) {
    zeros<T> memory(scratch);
    for (int64_t r = p * down(g) / n; r < (p + 1) * down(g) / n; ++r)
      body(r, r * g.br, std::min(g.rows, (r + 1) * g.br), memory.start());
#if defined(__x86_64__)
    _mm_sfence();  // what went past the cache; after every row of blocks it would cost as much as they do
#endif
  }
}

// The sum of a line, in double precision; the line becomes 0.
template <class T> double taken(T* a) {
  const double sum = so_lane_sum(a, lanes<T>());
  std::fill_n(a, lanes<T>(), T(0));
  return sum;
}

// |a| of a block, or |a + b|, of which the square is known but for overflow or underflow.
template <class T> double norm_of(double square, const T* a, const T* b, int64_t rows, const so_grid& g) {
  if (so_safe(T(0), square)) return sqrt(square);
  if (!b && so_all_zero(a, rows, g.bc, g.ld)) return 0;
  return so_careful_norm(rows, g.bc, [=](int64_t i, int64_t j) {
    return (double)(b ? a[i * g.ld + j] + b[i * g.ld + j] : a[i * g.ld + j]);
  });
}

// leaf(first entry, rows, sums), then store(block, its sum, first entry, rows), for all rows of blocks.
template <class T, class Leaf, class Store> void reduced(const so_grid& g, int threads, Leaf leaf, Store store) {
  const int64_t n = across(g);
  for_block_rows<T>(g, n * lanes<T>(), threads, [&](int64_t r, int64_t first, int64_t last, T* held) {
    std::vector<double> totals(n, 0.0);
    leaf(first * g.ld, last - first, so_line_sums<T>{held, totals.data()});
    for (int64_t b = 0; b < n; ++b) store(r * n + b, totals[b], first * g.ld + b * g.bc, last - first);
  });
}

// Blocks of a row of blocks by their first columns.
struct listed {
  std::vector<int64_t> at;
  int64_t count;
  template <class Chosen> listed(const so_grid& g, Chosen chosen) : at(across(g) + SO_LISTED_AHEAD) {
    int64_t *const to = at.data(), n = 0;  // in registers: no branches, no memory to wait for
    for (int64_t b = 0, last = across(g); b < last; ++b) {
      to[n] = b * g.bc;
      n += chosen(b);
    }
    for (int64_t k = 0; n > 0 && k < SO_LISTED_AHEAD; ++k) to[n + k] = to[k] + SO_LINE_ROWS * g.ld;
    count = n;
  }
  operator so_listed() const { return {at.data(), count}; }
};

}  // namespace

template <class T> void so_lines_dots(const T* a, const T* b, T* dots, const so_grid& g, int threads) {
  reduced<T>(
      g, threads,
      [&](int64_t at, int64_t rows, so_line_sums<T> sums) { leaves<T>().dots(a + at, b + at, g.ld, rows, sums, g.bc, g.channels); },
      [&](int64_t cell, double sum, int64_t, int64_t) { dots[cell] = (T)sum; });
}

template <class T> void so_lines_sum_norms(const T* a, const T* b, T* norms, const so_grid& g, int threads) {
  reduced<T>(
      g, threads,
      [&](int64_t at, int64_t rows, so_line_sums<T> sums) {
        leaves<T>().sum_squares(a + at, b + at, g.ld, rows, sums, g.bc, g.channels);
      },
      [&](int64_t cell, double sum, int64_t at, int64_t rows) { norms[cell] = (T)norm_of(sum, a + at, b + at, rows, g); });
}

template <class T> bool so_lines_take(const so_grid& g) {
  return g.taps == 1 && g.channels % g.bc == 0 && g.bc % lanes<T>() == 0;
}

template <class T> void so_lines_add(const so_adding<T>& given, const so_grid& g, int threads) {
  const int64_t n = across(g);
  for_block_rows<T>(g, 3 * n * lanes<T>(), threads, [&](int64_t r, int64_t first, int64_t last, T* held) {
    T* const x = given.u + first * g.ld;
    so_squares* const of = given.squares + r * n;
    std::fill_n(of, n, so_squares{0, 0, 0});
    leaves<T>().add(given.w + first * g.ld, x, g.ld, last - first, {held, &of->u}, g.bc, g.channels);
    for (int64_t b = 0; b < n; ++b)
      given.norms[r * n + b] = (T)norm_of<T>(of[b].sum, x + b * g.bc, nullptr, last - first, g);
  });
}

template <class T> void so_lines_split(const so_splitting<T>& given, double* residuals, const so_grid& g, int threads) {
  const int64_t n = across(g);
  std::vector<double> partial(2 * down(g), 0.0);
  for_block_rows<T>(g, lanes<T>(), threads, [&](int64_t r, int64_t first, int64_t last, T* sums) {
    const uint8_t* const kept = given.kept + r * n;
    uint8_t* const occupied = given.occupied + r * n;
    auto where = [=, &g](bool now, bool before) {
      return listed(g, [=](int64_t b) { return (kept[b] != 0) == now && (occupied[b] != 0) == before; });
    };
    const listed entering = where(true, false), staying = where(true, true), leaving = where(false, true);
    double primal = 0, dual = 0;
    for (int64_t i = first; i < last; i += SO_LINE_ROWS) {  // so few are summed in single precision
      const int64_t rows = std::min<int64_t>(SO_LINE_ROWS, last - i);
      leaves<T>().split(given.z + i * g.ld, given.u + i * g.ld, g.ld, rows, {entering, staying, leaving}, sums, g.bc);
      dual += taken(sums);
    }
    for (int64_t b = 0; b < n; ++b) {
      const so_squares& of = given.squares[r * n + b];
      double& held = given.held[r * n + b];
      primal += kept[b] ? of.u : of.w;
      dual += !kept[b] ? held : occupied[b] ? 0 : of.sum;
      held = kept[b] ? of.sum : 0;
      occupied[b] = kept[b];
    }
    partial[2 * r] = primal;
    partial[2 * r + 1] = dual;
  });
  residuals[0] = residuals[1] = 0;
  for (size_t i = 0; i < partial.size(); ++i) residuals[i % 2] += partial[i];
}

template <class T> void so_lines_decay(const T* w, T* g, const uint8_t* kept, double pull, const so_grid& grid, int threads) {
  const int64_t n = across(grid);
  if ((T)pull == T(0)) return;
  for_block_rows<T>(grid, 0, threads, [&](int64_t r, int64_t first, int64_t last, T*) {
    const listed dropped(grid, [=](int64_t b) { return !kept[r * n + b]; });
    leaves<T>().decay(w + first * grid.ld, g + first * grid.ld, (T)pull, grid.ld, last - first, dropped, grid.bc);
  });
}

template <class T> void so_lines_scale(const T* w, const T* scale, T* out, const so_grid& g, int threads) {
  const int64_t n = across(g);
  for_block_rows<T>(g, 0, threads, [&](int64_t r, int64_t first, int64_t last, T*) {
    so_rows<T>().sweep({}, {w + first * g.ld, out + first * g.ld, g.ld, g.ld, n, scale + r * n, true}, last - first, g.bc);
  });
}

#define SO_INSTANCES(T)                                                                        \
  template void so_lines_dots(const T*, const T*, T*, const so_grid&, int);                    \
  template void so_lines_sum_norms(const T*, const T*, T*, const so_grid&, int);               \
  template bool so_lines_take<T>(const so_grid&);                                              \
  template void so_lines_scale(const T*, const T*, T*, const so_grid&, int);                   \
  template void so_lines_add(const so_adding<T>&, const so_grid&, int);                        \
  template void so_lines_split(const so_splitting<T>&, double*, const so_grid&, int);          \
  template void so_lines_decay(const T*, T*, const uint8_t*, double, const so_grid&, int);
SO_INSTANCES(float)
SO_INSTANCES(double)
