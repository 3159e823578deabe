// Products of the columns of a dense design with each other, and with a few vectors, over its rows.
#pragma once
#include <stdint.h>

// A line holds SO_GRAM_LINE words; sums over SO_GRAM_CHUNK words are exact, and those of SO_GRAM_LINES lines are added in single
// precision.
enum { SO_GRAM_LINE = 16, SO_GRAM_LINES = 32, SO_GRAM_CHUNK = 8 };

// count columns of integers of 16 bits in words of two rows each, the same two for all columns: line b of column j starts at
// values + start[j] + b step[j].  They stand for multiples of unit[j].
struct so_gram_words {
  int64_t lines, count;
  const int16_t* values;
  const int64_t *start, *step;
  const double* unit;
};

// count columns of X, stored by columns ld entries apart: column j stands for root (X[:, columns[j]] - mean[j]).
// mean, root: null where there are none.
struct so_gram_columns {
  int is_float;
  int64_t n, ld, count;
  const void* values;
  const int64_t* columns;
  const double *mean, *root;
};

// H [count, count] = products of all pairs of columns, but for (SO_GRAM_LINES * SO_GRAM_LINE / SO_GRAM_CHUNK + 1) 2^-24 of the product of their lengths, and
// for what had to be rounded so that sums over a chunk fit 32 bits: rounded [count] is at least the sum of squares of that, in units.
// Nothing depends on threads (<= 0: as many as OpenMP offers).
void so_gram_matrix(const so_gram_words& x, double* H, double* rounded, int threads);

// out [k, to.count] = to' from v with v [k, from.count], in double precision; from and to are columns of the same X.
void so_gram_product(const so_gram_columns& from, const so_gram_columns& to, const double* v, int64_t k, double* out);
