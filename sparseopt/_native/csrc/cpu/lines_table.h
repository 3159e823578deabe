// Leaf kernels of the passes over whole lines, one table per instruction set: rows, ld apart, of neighbouring blocks,
// each of `width` columns, n together.
#pragma once
#include "../lines.h"

#define SO_LINE_BYTES 64

template <class T> struct so_split_rows {
  const T* w;
  T *z, *u;
  int64_t ld;
};

template <class T> struct so_line_rows {
  // a line of sums for each block: += a b, or (a + b)^2
  void (*dots)(const T* a, const T* b, int64_t ld, int64_t rows, T* sums, int64_t width, int64_t n);
  void (*sum_squares)(const T* a, const T* b, int64_t ld, int64_t rows, T* sums, int64_t width, int64_t n);
  // u += w; a line of sums for each block: += u^2, += w^2
  void (*add)(const T* w, T* u, int64_t ld, int64_t rows, T* sums, T* squares, int64_t width, int64_t n);
  // see so_lines_split; a line of sums: primal of the blocks that are kept, dual of all
  void (*split)(so_split_rows<T> a, int64_t rows, const uint8_t* kept, T* primal, T* dual, int64_t width, int64_t n);
  // g += values w, one for each block; where that is 0, nothing is read
  void (*decay)(const T* w, const T* values, T* g, int64_t ld, int64_t rows, int64_t width, int64_t n);
};

struct so_lines_kernels {
  so_line_rows<float> f32;
  so_line_rows<double> f64;
};

extern const so_lines_kernels so_lines_baseline;
#ifdef SO_MULTI_ISA
extern const so_lines_kernels so_lines_v3, so_lines_v4;
#endif
