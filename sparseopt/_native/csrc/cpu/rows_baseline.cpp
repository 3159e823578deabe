#define SO_TABLE so_isa_baseline
#define SO_TABLE_NAME "baseline"
#include "rows.inc"
