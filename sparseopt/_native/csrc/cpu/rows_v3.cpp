#define SO_TABLE so_isa_v3
#define SO_TABLE_NAME "x86-64-v3"
#include "rows.inc"
