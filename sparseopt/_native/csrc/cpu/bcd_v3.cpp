#define SO_BCD_TABLE so_bcd_v3
#include "bcd.inc"
