//go:build wasip1

package abi

import "unsafe"

//go:wasmimport extism:host/env alloc
//go:noescape
func alloc(length uint64) uint64

//go:wasmimport extism:host/env free
//go:noescape
func free(offset uint64)

//go:wasmimport extism:host/env length
//go:noescape
func length(offset uint64) uint64

//go:wasmimport extism:host/env load_u8
//go:noescape
func loadU8(offset uint64) uint32

//go:wasmimport extism:host/env load_u64
//go:noescape
func loadU64(offset uint64) uint64

//go:wasmimport extism:host/env store_u8
//go:noescape
func storeU8(offset uint64, value uint32)

//go:wasmimport extism:host/env store_u64
//go:noescape
func storeU64(offset uint64, value uint64)

//go:wasmimport extism:host/env input_offset
//go:noescape
func inputOffset() uint64

//go:wasmimport extism:host/env input_length
//go:noescape
func inputLength() uint64

//go:wasmimport extism:host/env output_set
//go:noescape
func outputSet(offset, length uint64)

//go:wasmimport extism:host/env error_set
//go:noescape
func errorSet(offset uint64)

//go:wasmimport extism:host/env config_get
//go:noescape
func configGet(key uint64) uint64

//go:wasmimport extism:host/env var_get
//go:noescape
func varGet(key uint64) uint64

//go:wasmimport extism:host/env var_set
//go:noescape
func varSet(key, value uint64)

// memoryRead is the export exomonad_memory_read: it copies bytes of the kernel into this module. A host
// that knows the name replaces the export's body by one memory.copy; any other host runs this one.
//
// It must not grow the stack or switch goroutines: copyIn calls the export as a function of
// WebAssembly, from which Go's runtime could not resume.
//
//go:wasmexport exomonad_memory_read
//go:nosplit
func memoryRead(source uint64, destination unsafe.Pointer, length uint32) {
	words := length / 8
	for word := uint32(0); word < words; word++ {
		*(*uint64)(unsafe.Add(destination, 8*word)) = loadU64(source + 8*uint64(word))
	}
	for at := 8 * words; at < length; at++ {
		*(*uint8)(unsafe.Add(destination, at)) = uint8(loadU8(source + uint64(at)))
	}
}

// memoryWrite is the export exomonad_memory_write, the other direction of memoryRead.
//
//go:wasmexport exomonad_memory_write
//go:nosplit
func memoryWrite(destination uint64, source unsafe.Pointer, length uint32) {
	words := length / 8
	for word := uint32(0); word < words; word++ {
		storeU64(destination+8*uint64(word), *(*uint64)(unsafe.Add(source, 8*word)))
	}
	for at := 8 * words; at < length; at++ {
		storeU8(destination+uint64(at), uint32(*(*uint8)(unsafe.Add(source, at))))
	}
}

// copyIn calls the export exomonad_memory_read, and copyOut exomonad_memory_write. A call of the Go
// function would not reach the body that the host has put in the export's place.
//
//go:noescape
func copyIn(source uint64, destination unsafe.Pointer, length uint32)

//go:noescape
func copyOut(destination uint64, source unsafe.Pointer, length uint32)

// hold puts bytes into a new block of the kernel.
func hold(bytes []byte) uint64 {
	offset := alloc(uint64(len(bytes)))
	if len(bytes) > 0 {
		copyOut(offset, unsafe.Pointer(unsafe.SliceData(bytes)), uint32(len(bytes)))
	}
	return offset
}

func read(offset, length uint64) []byte {
	bytes := make([]byte, length)
	if length > 0 {
		copyIn(offset, unsafe.Pointer(unsafe.SliceData(bytes)), uint32(length))
	}
	return bytes
}

// take reads the block at an offset and frees it; nil at 0, where there is none.
func take(offset uint64) []byte {
	if offset == 0 {
		return nil
	}
	bytes := read(offset, length(offset))
	free(offset)
	return bytes
}

// Call performs an effect: it gives the request to the host function and returns the answer.
func Call(_ string, function HostFunction, request []byte) []byte {
	block := hold(request)
	answer := take(function(block))
	free(block)
	return answer
}

// Input is the input of the call.
func Input() []byte {
	return read(inputOffset(), inputLength())
}

// SetOutput sets the output of the call.
func SetOutput(output []byte) {
	outputSet(hold(output), uint64(len(output)))
}

// SetError sets the message of a call that fails.
func SetError(message string) {
	errorSet(hold([]byte(message)))
}

// Config is the value of a key of the role's configuration.
func Config(key string) (string, bool) {
	block := hold([]byte(key))
	value := configGet(block)
	free(block)
	return string(take(value)), value != 0
}

// Variable is the value of a variable of the sandbox.
func Variable(key string) ([]byte, bool) {
	block := hold([]byte(key))
	value := varGet(block)
	free(block)
	return take(value), value != 0
}

// SetVariable sets a variable of the sandbox, or removes it if the value is nil.
func SetVariable(key string, value []byte) {
	block := hold([]byte(key))
	var to uint64
	if value != nil {
		to = hold(value)
	}
	varSet(block, to)
	free(block)
	if to != 0 {
		free(to)
	}
}
