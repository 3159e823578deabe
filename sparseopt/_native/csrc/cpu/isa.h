// The instruction set that is used: the best one of this machine, or at most the one of SPARSEOPT_ISA (0, 3 or 4; for tests).
#pragma once

int so_isa_level();
