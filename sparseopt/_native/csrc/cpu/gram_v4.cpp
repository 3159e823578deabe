#define SO_TABLE so_gram_v4
#include "gram.inc"
