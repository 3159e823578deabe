/* The passes over memory that no implementation of a method can do without, as plain loops over whole weights: no blocks, no
   masks to look up, nothing for each layer but a pointer.  Built by pruning_floor.py. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__AVX__)
#include <immintrin.h>
#endif

enum { lane = 8, line = 16, ahead = 256 };

/* Past the cache where that can be said: a line that is written whole need not be read. */
static inline void put(float *to, const float *from) {
#if defined(__AVX__)
  _mm256_stream_ps(to, _mm256_loadu_ps(from));
#else
  memcpy(to, from, lane * sizeof *to);
#endif
}

/* w: read and written in lines of kind 1, written in lines of kind 2, left alone in the others. */
void floor_mask(float **w, const uint8_t **kind, const int64_t *n, int64_t count) {
  for (int64_t k = count - 1; k >= 0; --k)
    for (int64_t i = 0; i + line <= n[k]; i += line) {
      if (kind[k][i / line] == 2) memset(w[k] + i, 0, line * sizeof(float));
      if (kind[k][i / line] == 1)
        for (int j = 0; j < line; ++j) w[k][i + j] *= 0.5f;
    }
}

/* w read and written: a prox of its blocks, which are in the cache when their norms are known. */
void floor_prox(float **w, const int64_t *n, int64_t count) {
  for (int64_t k = count - 1; k >= 0; --k)
    for (int64_t i = 0; i < n[k]; ++i) w[k][i] *= 1 - 1e-7f;
}

/* g read and written, w read: gradients scaled, and their products with the weights. */
float floor_pull(float **w, float **g, const int64_t *n, int64_t count) {
  float sums[line] = {0};
  for (int64_t k = 0; k < count; ++k)
    for (int64_t i = 0; i + line <= n[k]; i += line) {
      const float *a = w[k] + i;
      float *b = g[k] + i;
      __builtin_prefetch(a + ahead);
      __builtin_prefetch(b + ahead, 1);
      for (int j = 0; j < line; ++j) {
        sums[j] += a[j] * b[j];
        b[j] *= 0.5f;
      }
    }
  return sums[0];
}

/* w read, out written: w times masks, and the squares for the norms. */
float floor_write(float **w, float **out, const int64_t *n, int64_t count) {
  float sums[lane] = {0};
  for (int64_t k = count - 1; k >= 0; --k)
    for (int64_t i = 0; i + lane <= n[k]; i += lane) {
      float x[lane];
      for (int j = 0; j < lane; ++j) {
        x[j] = 0.5f * w[k][i + j];
        sums[j] += x[j] * x[j];
      }
      if ((uintptr_t)out[k] % 32 == 0) put(out[k] + i, x);
      else memcpy(out[k] + i, x, sizeof x);
    }
  return sums[0];
}

/* g read and written, w and z read: the augmented Lagrangian, with z - u in one array. */
void floor_augment(float **w, float **z, float **g, const int64_t *n, int64_t count) {
  for (int64_t k = 0; k < count; ++k)
    for (int64_t i = 0; i < n[k]; ++i) g[k][i] += 1e-3f * (w[k][i] - z[k][i]);
}
