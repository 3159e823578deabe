// The block coordinate descent of one instruction set.
#pragma once
#include "../bcd.h"

#define SO_CHUNK 64      // columns of a group that are handled together
#define SO_LAPACK_FROM 13  // columns of a group whose eigenbasis LAPACK makes
#define SO_ANDERSON 10   // most differences of an extrapolation

// Doubles for one block: k x k where it is diagonalised here, its k curvatures in any case.
static inline int64_t so_block_memory(int64_t largest) {
  return largest > SO_CHUNK * SO_CHUNK ? largest : largest > SO_CHUNK ? SO_CHUNK * SO_CHUNK : largest * largest;
}
// Samples up to which systems of them are solved, of as many groups at most, and what that needs.
enum { SO_MOST_SAMPLES = 128 };
static inline int64_t so_samples_memory(int64_t n, int64_t coefficients) {
  const int64_t groups = coefficients < n ? coefficients : n;
  return n <= SO_MOST_SAMPLES ? (groups + 4) * n * n + 5 * n : 0;
}

enum so_ready { SO_BASIS = 1, SO_MEANS = 2 };

struct so_bcd_table {
  so_bcd_report (*inner)(const so_problem&, const int64_t* working, int64_t count, double* scores, bool scored,
                         const so_bcd_options&, double* workspace, const so_poll&);
  // gradient and norms of the groups [from, to)
  void (*gradient)(const so_problem&, const double* v, const so_bcd_pass& pass, int64_t from, int64_t to);
  void (*fit)(const so_problem&, const double* w, double* z);
  void (*fit_and_gradient)(const so_problem&, const double* w, const double* v, double* z, double* gradient, double* room);
  so_bcd_report (*packed)(const so_problem&, const so_packed&, const int64_t* working, int64_t count, double* scores,
                          const so_bcd_options&, double* workspace, const so_poll&);
  int64_t (*packed_memory)(const so_problem&, const so_packed&, int64_t groups, int64_t coefficients, int64_t anderson);
  void (*packed_pass)(const so_problem&, const so_packed&, const double* v, double* gradient, double* norms);
  int (*packed_score)(const so_problem&, const so_packed&, const int64_t* groups, int64_t count, double* workspace, const so_poll&);
  so_bcd_report (*gram)(const so_problem&, const so_gram&, const so_bcd_options&, double* workspace, const so_poll&);
  so_newton_report (*newton)(const so_problem&, const so_loss&, const int64_t* working, int64_t count, const so_newton_point&,
                             const so_newton_options&, double* workspace, const so_poll&);
  int64_t (*newton_memory)(const so_problem&, int kind);
};

extern const so_bcd_table so_bcd_baseline;
#ifdef SO_MULTI_ISA
extern const so_bcd_table so_bcd_v3, so_bcd_v4;
#endif
