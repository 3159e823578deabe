#define SO_BCD_TABLE so_bcd_baseline
#include "bcd.inc"
