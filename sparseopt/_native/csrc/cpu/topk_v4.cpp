#define SO_TABLE so_topk_isa_v4
#include "topk.inc"
