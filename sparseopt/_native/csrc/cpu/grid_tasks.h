// How a list of matrices is shared out: tasks of neighbouring blocks, what belongs to blocks spread to columns, columns folded.
#pragma once
#include "../block.h"
#include "../grid.h"
#include "grid_table.h"
#include "isa.h"
#include "lane_sums.h"

#include <stdint.h>

#include <algorithm>
#include <type_traits>
#include <vector>

namespace {

const int64_t chunk_columns = 8192, chunk_entries = 1 << 17;  // of a task, or one block: it and what belongs to it stay in the second cache
const int64_t few_columns = 192, few_entries = 3072;  // of a short task, which the first cache keeps for a second pass
const int64_t most_fetched = 1 << 14;       // entries of a task during which the next one is fetched
const int64_t terms_between_folds = 64;     // sums of more terms in single precision would lose digits
const int64_t parallel_entries = 1 << 15;   // below this a second thread costs more than it saves

enum length { short_tasks, long_tasks };
enum order { forwards, backwards };  // where the pass before this one, of the optimiser or of backpropagation, left the cache

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

// Whether no block is cut off and there are no taps: the layout of block.h and projection.h.
bool plain(const so_grid& g) { return g.taps == 1 && g.rows % g.br == 0 && g.channels % g.bc == 0; }
so_blocks plain_blocks(const so_grid& g) { return {g.rows, g.channels, g.ld, g.ld, g.br, g.bc}; }

// Rows of zeros as wide as the widest task, and numbers of its blocks.
template <class T> struct scratch {
  std::vector<T> memory;
  std::vector<T> numbers;
  std::vector<double> sums;
  int64_t width;
  scratch(int64_t widest, int64_t cells, int buffers) : numbers(cells), sums(cells) {
    width = (widest * sizeof(T) + 63) / 64 * 64 / sizeof(T) + SO_GRID_SLACK;  // rows start at cache lines
    memory.assign(buffers * width + 64 / sizeof(T) + SO_GRID_SLACK, T(0));
  }
  T* row(int i) { return memory.data() + (64 - (uintptr_t)memory.data() % 64) % 64 / sizeof(T) + i * width; }
};

// Blocks first, ..., first + count - 1 (all their taps) of one row of blocks of a matrix.
struct task {
  const so_grid& g;
  int64_t matrix, block_row, first, count, start, columns, rows;  // start: offset of the first entry; columns, rows: its size
  int64_t ahead, behind;  // from there to the first entry of the next task, and of the one before
  // of a block, where the leaf kernels take whole blocks, else 0
  template <class T> int64_t whole() const { return g.taps == 1 && g.bc % line_of<T>() == 0 && g.channels % g.bc == 0 ? g.bc : 0; }
  int64_t width(int64_t b) const { return std::min(g.bc, g.channels - (first + b) * g.bc); }
  int64_t cells() const { return (block_row * ((g.channels + g.bc - 1) / g.bc) + first) * g.taps; }

  // Full blocks; the one behind them is cut off, or has no columns.
  int64_t full() const { return width(count - 1) == g.bc ? count : count - 1; }
  int64_t rest() const { return full() == count ? 0 : width(count - 1); }

  // to <- one number for each column, of values from the first block on; returns them
  template <class S, class T> const T* spread_columns(const S* values, scratch<T>& memory, int row) const {
    const int64_t whole = full();
    const T* given = memory.numbers.data();
    T* const to = memory.row(row);
    if constexpr (std::is_same<S, T>::value) given = values;
    else std::copy_n(values, count * g.taps, memory.numbers.data());
    leaves<T>().spread(given, g.taps, g.bc, whole, to);
    leaves<T>().spread(given + whole * g.taps, g.taps, rest(), count - whole, to + whole * g.bc * g.taps);
    return to;
  }
  // the same, or one number for each block: what the leaf kernels take
  template <class S, class T> so_per_block<T> spread(const S* values, scratch<T>& memory, int row) const {
    if (!whole<T>()) return {spread_columns(values, memory, row), 0};
    std::copy_n(values, count, memory.row(row));
    return {memory.row(row), whole<T>()};
  }

  // sums [count, taps] += columns, which become 0
  template <class T> void fold(T* from, double* sums) const {
    if (g.taps == 1 && g.bc > 1) {
      for (int64_t b = 0; b < count; ++b) {
        const int64_t n = this->whole<T>() ? line_of<T>() : width(b);
        sums[b] += so_lane_sum(from, n);
        from = std::fill_n(from, n, T(0));
      }
      return;
    }
    const int64_t whole = full();
    leaves<T>().fold(from, g.taps, g.bc, whole, sums);
    leaves<T>().fold(from + whole * g.bc * g.taps, g.taps, rest(), count - whole, sums + whole * g.taps);
  }

  // Rows of it.
  so_band band(int64_t count) const { return {count, g.ld, columns}; }
  so_band band() const { return band(rows); }
};

struct tasks {
  const so_grid& g;
  int64_t matrix, down, across, per_task, chunks;
  tasks(const so_grid& g, int64_t matrix, length size) : g(g), matrix(matrix) {
    down = (g.rows + g.br - 1) / g.br;
    across = (g.channels + g.bc - 1) / g.bc;
    const int64_t high = std::min(g.br, g.rows), longest = std::min(chunk_columns, chunk_entries / high);
    const int64_t wide = size == long_tasks ? longest : std::min(longest, std::max(few_columns, few_entries / high));
    const int64_t most = std::max<int64_t>(1, wide / (g.bc * g.taps)), wanted = (across + most - 1) / most;
    per_task = (across + wanted - 1) / wanted;
    chunks = (across + per_task - 1) / per_task;
  }
  int64_t count() const { return down * chunks; }
  int64_t start_of(int64_t i) const { return i / chunks * g.br * g.ld + i % chunks * per_task * g.bc * g.taps; }
  int64_t widest() const { return std::min(per_task * g.bc, g.channels) * g.taps; }
  task operator[](int64_t i) const {
    const int64_t row = i / chunks, first = i % chunks * per_task, count = std::min(per_task, across - first);
    const int64_t columns = (std::min(g.channels, (first + count) * g.bc) - first * g.bc) * g.taps;
    const int64_t start = start_of(i), rows = std::min(g.br, g.rows - row * g.br);
    return {g, matrix, row, first, count, start, columns, rows, start_of(i + 1) - start, start_of(i - 1) - start};
  }
};

// The tasks of all matrices of a list for which `here` holds.
struct list {
  std::vector<tasks> parts;
  std::vector<int64_t> starts = {0}, sizes = {0};  // tasks and entries ahead of each
  int64_t entries = 0, widest = 0, cells = 0;
  template <class Here> list(const so_grids& grids, Here here, length size = long_tasks) {
    parts.reserve(grids.count);
    for (int64_t k = 0; k < grids.count; ++k) {
      const so_grid& g = grids.layout[k];
      if (!here(g)) continue;
      parts.emplace_back(g, k, size);
      starts.push_back(starts.back() + parts.back().count());
      entries += g.rows * g.channels * g.taps;
      sizes.push_back(entries);
      widest = std::max(widest, parts.back().widest());
      cells = std::max(cells, parts.back().per_task * g.taps);
    }
  }
  int64_t count() const { return starts.back(); }
  task operator[](int64_t i) const {
    const int64_t k = std::upper_bound(starts.begin(), starts.end(), i) - starts.begin() - 1;
    return parts[k][i - starts[k]];
  }
  // The first task of part p of n, which have as many entries each, up to a task.
  int64_t first_of(int64_t p, int64_t n) const {
    if (p == n) return count();
    const int64_t entry = p * entries / n, k = std::upper_bound(sizes.begin(), sizes.end(), entry) - sizes.begin() - 1;
    return starts[k] + (entry - sizes[k]) * parts[k].count() / (sizes[k + 1] - sizes[k]);
  }
};
bool all(const so_grid&) { return true; }

// body(task, index, scratch) for all tasks. Every thread has neighbouring ones.
template <class T, class Body> void for_tasks(const list& tasks, order way, int buffers, int threads, Body body) {
  const int64_t wanted = tasks.entries < parallel_entries ? 1 : threads > 0 ? threads : so_threads();
  const int64_t n = std::min(wanted, tasks.count());
#pragma omp parallel for schedule(static, 1) num_threads(n) if (n > 1)
  for (int64_t p = 0; p < n; ++p) {
    scratch<T> memory(tasks.widest, tasks.cells, buffers);
    const int64_t first = tasks.first_of(p, n), last = tasks.first_of(p + 1, n) - 1;
    for (int64_t k = first; k <= last; ++k) {
      const int64_t i = way == forwards ? k : first + last - k;
      body(tasks[i], i, memory);
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);  // after streaming stores
  }
}

// leaf(offset, width of whole blocks, sums, band) for bands of the rows of a task; store(cell, sum of the block)
template <class T, class Leaf, class Store> void reduce(const task& t, scratch<T>& memory, Leaf leaf, Store store) {
  T* const columns = memory.row(0);
  double* const sums = memory.sums.data();
  std::fill_n(sums, t.count * t.g.taps, 0.0);
  const int64_t width = t.whole<T>(), terms = std::max<int64_t>(1, width / line_of<T>());
  const int64_t rows = std::max<int64_t>(1, terms_between_folds / terms);
  for (int64_t i = 0; i < t.rows; i += rows) {
    leaf(t.start + i * t.g.ld, width, columns, t.band(std::min(rows, t.rows - i)));
    t.fold(columns, sums);
  }
  for (int64_t k = 0; k < t.count * t.g.taps; ++k) store(t.cells() + k, sums[k]);
}

}  // namespace
