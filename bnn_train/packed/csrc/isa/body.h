// The functions of one instruction set, compiled under its own target. Everything here has internal linkage: a copy made
// for one processor must never serve another. In this order.
#include "tile.h"
//
#include "epilogue.h"
//
#include "pooling.h"
//
#include "look_up.h"
//
#include "passes.h"
