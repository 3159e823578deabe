#define SO_TABLE so_topk_isa_baseline
#include "topk.inc"
