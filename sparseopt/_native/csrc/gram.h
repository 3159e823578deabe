// Products of the columns of a dense design with each other, and with a few vectors, over its rows.
#pragma once
#include <stdint.h>

// In single precision this many products are added, and then so many of these sums, before they are taken over in double.
enum { SO_GRAM_CHUNK = 32, SO_GRAM_CHUNKS = 16 };

// count columns of X, stored by columns ld entries apart: column j stands for root (X[:, columns[j]] - mean[j]) scale[j].
// mean, root: null where there are none.
struct so_gram_columns {
  int is_float;
  int64_t n, ld, count;
  const void* values;
  const int64_t* columns;
  const double *mean, *scale, *root;
};

// H [count, count] = products of all pairs of columns, and spread [count]: the error of H[i, j] is at most
// 2^-24 sqrt(spread[i] spread[j]).  Entries are rounded to single precision, and so are sums over SO_GRAM_CHUNK * SO_GRAM_CHUNKS rows;
// what is rounded does not depend on threads (<= 0: as many as OpenMP offers).
void so_gram_matrix(const so_gram_columns& x, double* H, double* spread, int threads);

// out [k, to.count] = to' from v with v [k, from.count], in double precision; from and to are columns of the same X.
void so_gram_product(const so_gram_columns& from, const so_gram_columns& to, const double* v, int64_t k, double* out);
