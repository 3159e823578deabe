// Leaf kernels of the passes over whole lines, one table per instruction set: rows, ld apart, of neighbouring blocks,
// each of `width` columns, n together.
#pragma once
#include "../lines.h"

#define SO_LINE_BYTES 64
#define SO_LINE_ROWS 4      // that are treated together, with sums in registers
#define SO_LISTED_AHEAD 16  // so many blocks, of one line each, are fetched ahead

// Some blocks by their first columns, `count` of them in this order. Behind them those SO_LISTED_AHEAD that come after them, in
// the next SO_LINE_ROWS rows: only fetched.
struct so_listed {
  const int64_t* at;
  int64_t count;
};

// What becomes of blocks of z: they were 0 and are written, are read and written, or set to 0.
struct so_split_lists {
  so_listed entering, staying, leaving;
};

// For each block one sum or several in double precision, and as many lines of zeros, where they are held meanwhile.
template <class T> struct so_line_sums {
  T* held;
  double* totals;
};

template <class T> struct so_line_rows {
  // of each block a sum: += a b, or (a + b)^2
  void (*dots)(const T* a, const T* b, int64_t ld, int64_t rows, so_line_sums<T> sums, int64_t width, int64_t n);
  void (*sum_squares)(const T* a, const T* b, int64_t ld, int64_t rows, so_line_sums<T> sums, int64_t width, int64_t n);
  // u += w; of each block three sums: += u^2 and w^2 before, u^2 after
  void (*add)(const T* w, T* u, int64_t ld, int64_t rows, so_line_sums<T> sums, int64_t width, int64_t n);
  // see so_lines_split; a line of sums: += (u - z)^2 where blocks stay
  void (*split)(T* z, T* u, int64_t ld, int64_t rows, const so_split_lists& lists, T* sums, int64_t width);
  // g += pull w in the blocks of the list
  void (*decay)(const T* w, T* g, T pull, int64_t ld, int64_t rows, so_listed blocks, int64_t width);
};

struct so_lines_kernels {
  so_line_rows<float> f32;
  so_line_rows<double> f64;
};

extern const so_lines_kernels so_lines_baseline;
#ifdef SO_MULTI_ISA
extern const so_lines_kernels so_lines_v3, so_lines_v4;
#endif
