#define SO_BCD_TABLE so_bcd_v4
#include "bcd.inc"
