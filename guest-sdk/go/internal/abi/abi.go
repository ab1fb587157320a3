// Package abi is the interface to the host: Extism's plugin ABI (https://extism.org/docs/concepts/memory)
// in WebAssembly, and a host that a test has set natively.
package abi

// HostFunction is the host function of an effect, from the offset of the request in the kernel's memory to
// that of the answer. Natively there is none.
type HostFunction func(request uint64) uint64

// Host is what a test puts in the place of the host, natively.
type Host interface {
	Perform(function string, request []byte) []byte
	Config(key string) (string, bool)
	Variable(key string) ([]byte, bool)
	SetVariable(key string, value []byte)
}

var hosts []Host

// PushHost sets the host until PopHost.
func PushHost(host Host) { hosts = append(hosts, host) }

// PopHost sets the host that was set before.
func PopHost() { hosts = hosts[:len(hosts)-1] }
