#define SO_TABLE so_gram_v3
#include "gram.inc"
