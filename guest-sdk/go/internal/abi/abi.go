// Package abi is the interface to the host: Extism's plugin ABI (https://extism.org/docs/concepts/memory)
// in WebAssembly, and a host that a test has set natively.
package abi

// HostFunction is the host function of an effect, from the offset of the request in the kernel's memory to
// that of the answer. Natively there is none.
type HostFunction func(request uint64) uint64
