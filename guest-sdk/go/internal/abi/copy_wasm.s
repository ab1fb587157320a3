//go:build wasip1

#include "textflag.h"

// func copyIn(source uint64, destination unsafe.Pointer, length uint32)
//
// The frame is room for the export's own body, which grows no stack.
TEXT ·copyIn(SB), $256-20
	I64Load source+0(FP)
	I32Load destination+8(FP)
	I32Load length+16(FP)
	Call exomonad_memory_read(SB)
	RET

// func copyOut(destination uint64, source unsafe.Pointer, length uint32)
TEXT ·copyOut(SB), $256-20
	I64Load destination+0(FP)
	I32Load source+8(FP)
	I32Load length+16(FP)
	Call exomonad_memory_write(SB)
	RET
