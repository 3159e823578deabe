// Passes over matrices cut into a grid of blocks whose columns come in taps, as in the kernels of a convolution: element
// (o, i, t) of a weight [rows, channels, taps] is at o * ld + i * taps + t, and block (a, b, t) holds rows a * br, ... and
// channels b * bc, ... of tap t. Blocks at the border may be cut off. Arrays over blocks are [ceil(rows / br),
// ceil(channels / bc), taps].
// One call works on a list of matrices, such as the layers of a model: every operand is an array with an address for each.
#pragma once
#include <stdint.h>

#include "block.h"   // so_prox, so_stream
#include "radial.h"  // SO_HD

struct so_grid {
  int64_t rows, channels, taps, ld, br, bc;
};

// What the passes do with an entry, on the CPU and by CUDA. V: a number; on the CPU also a vector of the compiler's.
SO_HD float so_unless_zero(float factor, float x) { return factor == 0 ? 0 : x; }
SO_HD double so_unless_zero(double factor, double x) { return factor == 0 ? 0 : x; }
#if !defined(__CUDACC__)
template <class V> SO_HD V so_unless_zero(V factor, V x) { return factor == V{} ? V{} : x; }
#endif
template <class V> SO_HD V so_scaled(V w, V factor) { return so_unless_zero(factor, (V)(w * factor)); }
template <class V> SO_HD V so_added(V g, V w, V factor) { return g + so_unless_zero(factor, (V)(factor * w)); }
template <class V, class T> SO_HD V so_augmented(V g, V w, V z, V u, T rho) { return g + rho * (w - z + u); }
template <class T> SO_HD T so_decay_factor(T pull, T kept) { return pull * (T(1) - kept); }  // kept: 0 or 1

// The update of ADMM: z, u, and the differences whose squares are summed.
template <class V> struct so_admm_step {
  V z, u, apart, moved;
};
template <class V> SO_HD so_admm_step<V> so_admm_from(V w, V before, V u, V z) { return {z, w + u - z, w - z, z - before}; }
template <class V> SO_HD so_admm_step<V> so_admm(V w, V before, V u, V kept) {
  return so_admm_from(w, before, u, so_unless_zero(kept, (V)(w + u)));
}

struct so_grids {
  const so_grid* layout;  // of each matrix, whatever the operand
  int64_t count;
  int threads;  // <= 0: as many as OpenMP offers
};

// Results do not depend on the number of threads, on the other matrices of a list, nor on the instruction set: products are
// rounded, then added, column by column. (Norms of wide blocks are those of block.h.)
template <class T> void so_grid_dots(const T* const* a, const T* const* b, T* const* dots, const so_grids& grids);  // sum a b
template <class T> void so_grid_norms(const T* const* w, T* const* norms, const so_grids& grids);
template <class T> void so_grid_sum_norms(const T* const* a, const T* const* b, T* const* norms, const so_grids& grids);  // |a + b|
template <class T> void so_grid_scale(const T* const* w, const T* const* scale, T* const* out, const so_grids& grids);

// dw = scale g, which may be g, and dscale = sum of w g over each block
template <class T> struct so_scale_vjp {
  const T *const *w, *const *g, *const *scale;
  T *const *dw, *const *dscale;
};
template <class T> void so_grid_scale_vjp(const so_scale_vjp<T>& given, const so_grids& grids);

// out = |w_b| w_b, which may not be w, and the norms; then backwards: g = |w_b| g_b + <w_b, g_b> w_b / |w_b|
template <class T> void so_grid_power(const T* const* w, T* const* norms, T* const* out, const so_grids& grids);
template <class T> void so_grid_power_vjp(const T* const* w, const T* const* norms, T* const* g, const so_grids& grids);

// Radial prox in place with one step for each matrix or each block; norms: those before.
template <class T> void so_grid_prox(T* const* w, T* const* norms, const so_prox* prox, const so_grids& grids);

// z = u + w in the blocks that are kept, else 0; u = u + w - z; residuals [count, 2]: |w - z|^2 and |z - (z before)|^2.
template <class T> struct so_triple {
  const T* const* w;
  T *const *z, *const *u;
  const uint8_t* const* kept;
};
template <class T> void so_grid_admm(const so_triple<T>& triple, double* residuals, const so_grids& grids);

// out = w in the blocks that are kept, else 0
template <class T> void so_grid_mask(const T* const* w, const uint8_t* const* kept, T* const* out, const so_grids& grids);

// The same, which out is already but in the blocks that are changed.
template <class T> struct so_remasked {
  const T* const* w;
  const uint8_t *const *kept, *const *changed;
  T* const* out;
};
template <class T> void so_grid_remask(const so_remasked<T>& given, const so_grids& grids);

// The norms too, from memory once; out may not be w.
template <class T>
void so_grid_mask_norms(const T* const* w, const uint8_t* const* kept, T* const* norms, T* const* out, const so_grids& grids);

// g += rho * (w - z + u)
template <class T> void so_grid_augment(const so_triple<T>& triple, T* const* g, double rho, const so_grids& grids);

// g += scale w
template <class T> void so_grid_add_scaled(const T* const* w, const T* const* scale, T* const* g, const so_grids& grids);

// g += pull * w in the blocks that are not kept.
template <class T>
void so_grid_decay(const T* const* w, T* const* g, const uint8_t* const* kept, double pull, const so_grids& grids);

// On a CUDA device, queued on a stream; all pointers there. Half types are computed in float32, sums in double precision in an
// order that depends on the sizes alone. Matrices of one call have one layout; values over blocks are of the working type.
//   pass            read            written                               values   number
//   SO_PASS_DOTS    0, 1            results = sum of 0 times 1
//   SO_PASS_NORMS   0, 1 or none    results = |0 + 1|
//   SO_PASS_VJP     0 = w, 1 = g    2 = scale g, results = sum w g        scale
//   SO_PASS_PROX    0               1 = 0 times prox(norm) / norm, results = norms
//   SO_PASS_POWER   0               1 = norm 0, results = norms
//   SO_PASS_POWER_VJP 0 = w, 1 = g  1 = norm g + <w, g> w / norm          norms
//   SO_PASS_SCALE   0               1 = scale 0                           scale
//   SO_PASS_MASK    0               1 = 0 where kept, else 0              kept
//   SO_PASS_ADD     0 = w, 1 = g    1 = g + scale w                       scale
//   SO_PASS_DECAY   0 = w, 1 = g    1 = g + pull w where not kept         kept     pull
//   SO_PASS_AUGMENT 0 = w, 1 = z, 2 = u, 3 = g    3 = g + rho (w - z + u)          rho
//   SO_PASS_ADMM    0 = w, 1 = z, 2 = u    1, 2, work[0, 1] = residuals   kept
// kept: bytes, 0 or 1. work: so_grid_cuda_work numbers. Returns as so_stream says; cudaErrorInvalidValue for sizes that the
// kernels do not take: so_grid_cuda_takes says so before.
enum so_number_type { SO_FLOAT32, SO_FLOAT64, SO_BFLOAT16, SO_FLOAT16 };
enum so_pass {
  SO_PASS_DOTS, SO_PASS_NORMS, SO_PASS_VJP, SO_PASS_PROX, SO_PASS_POWER, SO_PASS_POWER_VJP, SO_PASS_SCALE, SO_PASS_MASK,
  SO_PASS_ADD, SO_PASS_DECAY, SO_PASS_AUGMENT, SO_PASS_ADMM
};
struct so_grid_call {
  int pass, type;
  void* matrices[4];
  const void* values;
  void* results;
  double* work;
  double number;
  so_prox prox;
  so_grid grid;
};
int64_t so_grid_cuda_work(const so_grid& grid);
bool so_grid_cuda_takes(const so_grid& grid);
// The calls are of one pass, one type and one number; a launch takes as many of them as its arguments hold.
int so_grid_cuda(const so_grid_call* calls, int64_t count, so_stream stream);
