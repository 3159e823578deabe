// The leaf kernels of the soft top-k, one table per instruction set; each works on one run of at most a few thousand entries.
// Sums have SO_TOPK_LANES lanes: lane l takes the entries i with i % SO_TOPK_LANES == l, four of them added in the type of the
// data and then in double. Order and lanes are fixed, so numbers do not depend on the tiling or on the number of threads.
#pragma once
#include <stdint.h>

#define SO_TOPK_LANES 16
#define SO_TOPK_TILE 64   // entries of a tile: four to a lane
#define SO_TOPK_ORDER 6   // power sums of the longer kind

template <class T> struct so_logistic;  // topk.h

// Entries between low and high, as values and positions (first + index), which are room for n and two tiles.
template <class T> struct so_compressed {
  T* values;
  uint32_t* positions;
};

template <class T> struct so_topk_kernels {
  // sums[j] = sum f^(j+1), j < order (4 or 6)
  void (*powers)(const T* x, int64_t n, const so_logistic<T>& l, int order, double* sums);
  // y = f, or 1 - f if `flipped`; sums = {sum y, sum f (1 - f)}; f is exactly 0 or 1 where |u| is at its limit
  void (*output)(const T* x, T* y, int64_t n, const so_logistic<T>& l, bool flipped, bool stream, double* sums);
  // the same in double, y rounded once; sums = {sum of y as rounded, sum f (1 - f), sum of y before rounding}
  void (*output_double)(const T* x, T* y, int64_t n, const so_logistic<double>& l, bool flipped, double* sums);
  // sums = {sum of f over x <= cut, of f (1 - f) there, of 1 - f over x > cut, of f (1 - f) there}
  void (*balance)(const T* x, int64_t n, const so_logistic<T>& l, T cut, double* sums);
  // backward from the stored y: sums = {sum y, sum v g, sum v}, v = y (1 - y); then out = v (g - mean) inverse
  void (*weigh_stored)(const T* y, const T* g, int64_t n, double* sums);
  void (*spread_stored)(const T* y, const T* g, T* out, int64_t n, T mean, T inverse, bool stream);
  // backward from x: sums = {sum y, sum v g, sum v}, v = f (1 - f), y as `output` makes it
  void (*weigh)(const T* x, const T* g, int64_t n, const so_logistic<T>& l, bool flipped, double* sums);
  void (*spread)(const T* x, const T* g, T* out, int64_t n, const so_logistic<T>& l, T mean, T inverse, bool stream);
  // how many entries are > cut
  int64_t (*count)(const T* x, int64_t n, T cut);
  // bounds[0] = min(bounds[0], smallest entry > cut), bounds[1] = max(bounds[1], largest entry <= cut)
  void (*neighbours)(const T* x, int64_t n, T cut, T* bounds);
  // y = (x > cut); keeps the entries of [low, high]; adds how many are > high; returns how many are kept, -1 if one is NaN
  int64_t (*compress)(const T* x, T* y, int64_t n, T low, T high, T cut, uint32_t first, so_compressed<T> kept, int64_t* above);
};

struct so_topk_isa {
  so_topk_kernels<float> f32;
  so_topk_kernels<double> f64;
};

extern const so_topk_isa so_topk_isa_baseline;
#ifdef SO_MULTI_ISA
extern const so_topk_isa so_topk_isa_v3, so_topk_isa_v4;
#endif
