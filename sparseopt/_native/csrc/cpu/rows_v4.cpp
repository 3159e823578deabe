#define SO_TABLE so_isa_v4
#define SO_TABLE_NAME "x86-64-v4"
#include "rows.inc"
