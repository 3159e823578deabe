// How the CUDA kernels of the grid passes find their entries and blocks: units of 16 bytes where everything is aligned, single
// entries elsewhere; indices of 32 bits within a row, of 64 bits between rows.
#pragma once
#include "../grid.h"
#include "../half.h"

#define SO_GRID_THREADS 256
#define SO_GRID_AHEAD 4          // units of each matrix that a thread of an entry pass reads before it writes
#define SO_GRID_HELD 8           // units of a block that a thread of a block pass keeps
#define SO_GRID_LARGEST (1 << 30)  // sizes of rows, blocks and grids that indices of 32 bits reach

// V neighbouring entries.
template <class T, int V> struct alignas(sizeof(T) * V) so_unit {
  T e[V];
};


// n / by for n < 2^31.
struct so_divisor {
  uint32_t by, multiplier;
  int shift;
};
SO_HD so_divisor so_make_divisor(int64_t by) {
  int shift = 0;
  while (((int64_t)1 << shift) < by) ++shift;
  return {(uint32_t)by, (uint32_t)((((uint64_t)1 << 32) * (((uint64_t)1 << shift) - (uint64_t)by)) / (uint64_t)by + 1), shift};
}
SO_HD uint32_t so_divide(uint32_t n, so_divisor d) { return ((uint32_t)(((uint64_t)n * d.multiplier) >> 32) + n) >> d.shift; }
SO_HD int64_t so_divide_long(int64_t n, so_divisor d) { return n < 0x7fffffff ? (int64_t)so_divide((uint32_t)n, d) : n / d.by; }

// What a kernel is given. unit: entries of a unit. whole: each unit lies in one block.
template <class T> struct so_grid_launch {
  T* m[4];
  const void* values;
  T* results;
  double* work;
  so_working<T> number;
  so_prox prox;
  so_grid g;
  int64_t across, size, cells;      // blocks in a row of them; units of a block; blocks and taps in all
  so_divisor row, per_row, width, by_taps, by_block, by_height;  // units of a row, cells of a row of blocks, units of a row of a
  int lanes;                        // block, taps, columns of a block, rows of one; threads of a block (a power of two)
  bool whole;
};

template <class T, int V> so_grid_launch<T> so_grid_arguments(const so_grid_call& c) {
  const so_grid& g = c.grid;
  so_grid_launch<T> a;
  for (int i = 0; i < 4; ++i) a.m[i] = (T*)c.matrices[i];
  a.values = c.values, a.results = (T*)c.results, a.work = c.work, a.number = (so_working<T>)c.number;
  a.prox = c.prox, a.g = g;
  const int64_t width = V > 1 && g.bc % V == 0 ? g.bc / V : g.bc;
  a.across = (g.channels + g.bc - 1) / g.bc;
  a.size = g.br * width;
  a.cells = (g.rows + g.br - 1) / g.br * a.across * g.taps;
  a.row = so_make_divisor(g.channels * g.taps / V), a.per_row = so_make_divisor(a.across * g.taps);
  a.width = so_make_divisor(width), a.by_taps = so_make_divisor(g.taps);
  a.by_block = so_make_divisor(g.bc * g.taps), a.by_height = so_make_divisor(g.br);
  for (a.lanes = 1; a.lanes < a.size && a.lanes < 32; a.lanes *= 2) {}
  if (a.size > 32 * SO_GRID_HELD) a.lanes = SO_GRID_THREADS;
  a.whole = V == 1 || (g.taps == 1 && g.bc % V == 0);
  return a;
}

// Whether all rows of the matrices start at multiples of 16 bytes and have whole units; for block passes, blocks too.
inline bool so_grid_in_units(const so_grid_call& c, int64_t bytes, bool blocks) {
  const int64_t unit = 16 / bytes;
  const so_grid& g = c.grid;
  if (g.ld % unit && g.rows > 1) return false;
  if (blocks ? g.taps > 1 || g.bc % unit || g.channels % unit : g.channels * g.taps % unit) return false;
  for (const void* m : c.matrices)
    if ((uintptr_t)m % 16) return false;
  return true;
}

inline bool so_grid_fits(const so_grid& g) {
  const int64_t down = (g.rows + g.br - 1) / g.br, across = (g.channels + g.bc - 1) / g.bc;
  const int64_t longest[] = {g.rows, g.channels * g.taps, g.br * g.bc, g.bc * g.taps, across * g.taps};
  for (int64_t n : longest)
    if (n > SO_GRID_LARGEST) return false;
  return down * across * g.taps < 0x7fffffff && g.rows * g.channels * g.taps / (SO_GRID_THREADS * SO_GRID_AHEAD) < 0x7ffffffe;
}

// Thread blocks of the two kinds of passes.
template <int V, class T> int64_t so_entry_blocks(const so_grid_launch<T>& a) {
  const int64_t units = a.g.rows * (a.g.channels * a.g.taps / V), each = SO_GRID_THREADS * SO_GRID_AHEAD;
  return (units + each - 1) / each;
}
template <class T> int64_t so_block_blocks(const so_grid_launch<T>& a) {
  const int64_t each = SO_GRID_THREADS / a.lanes;
  return (a.cells + each - 1) / each;
}
inline int64_t so_residual_parts(const so_grid& g) {
  const int64_t each = SO_GRID_THREADS * SO_GRID_AHEAD;
  return (g.rows * g.channels * g.taps + each - 1) / each;
}

// Matrices that one launch works on: number i has the thread blocks first[i], ..., first[i + 1] - 1. A kernel's arguments are
// 4 KB at most.
#define SO_GRID_TOGETHER 12
template <class T> struct so_grid_batch {
  int64_t count, first[SO_GRID_TOGETHER + 1];
  so_grid_launch<T> each[SO_GRID_TOGETHER];
};
static_assert(sizeof(so_grid_batch<double>) <= 4096, "arguments of a kernel");

// The matrix of a thread block, and its place among those of the matrix.
struct so_share {
  int matrix;
  int64_t block;
};
template <class T> __device__ so_share so_my_share(const so_grid_batch<T>& b) {
  int i = 0;
  while (i + 1 < b.count && blockIdx.x >= b.first[i + 1]) ++i;
  return {i, blockIdx.x - b.first[i]};
}

// The first of the calls, as many as fit into a launch.
template <class T, int V, class Blocks> so_grid_batch<T> so_gather(const so_grid_call* calls, int64_t count, Blocks blocks) {
  so_grid_batch<T> b;
  b.count = 0, b.first[0] = 0;
  while (b.count < count && b.count < SO_GRID_TOGETHER) {
    const so_grid_launch<T> a = so_grid_arguments<T, V>(calls[b.count]);
    const int64_t last = b.first[b.count] + blocks(a);
    if (b.count && last > 0x7fffffff) break;
    b.each[b.count] = a, b.first[++b.count] = last;
  }
  return b;
}

// queue(kind, calls, count) for the type of the calls: first those in units, then the others.
template <class T, int V> struct so_kind {
  typedef T type;
  enum { units = V };
};
template <class T, class Queue> void so_with_units(const so_grid_call* calls, int64_t count, bool blocks, Queue queue) {
  so_grid_call chosen[SO_GRID_TOGETHER];
  for (int in_units = 1; in_units >= 0; --in_units)
    for (int64_t i = 0, n = 0; i < count; ++i) {
      if (so_grid_in_units(calls[i], sizeof(T), blocks) == (in_units == 1)) chosen[n++] = calls[i];
      if (n == 0 || (n < SO_GRID_TOGETHER && i + 1 < count)) continue;
      if (in_units) queue(so_kind<T, 16 / (int)sizeof(T)>(), chosen, n);
      else queue(so_kind<T, 1>(), chosen, n);
      n = 0;
    }
}
template <class Queue> void so_with_kind(const so_grid_call* calls, int64_t count, Queue queue) {
  const bool blocks = calls->pass <= SO_PASS_POWER_VJP;
  if (calls->type == SO_FLOAT32) so_with_units<float>(calls, count, blocks, queue);
  if (calls->type == SO_FLOAT64) so_with_units<double>(calls, count, blocks, queue);
  if (calls->type == SO_BFLOAT16) so_with_units<so_bfloat>(calls, count, blocks, queue);
  if (calls->type == SO_FLOAT16) so_with_units<so_half>(calls, count, blocks, queue);
}
