#define SO_TABLE so_topk_isa_v3
#include "topk.inc"
