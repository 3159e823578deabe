#define SO_TABLE so_gram_baseline
#include "gram.inc"
