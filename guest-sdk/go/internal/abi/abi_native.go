//go:build !wasip1

package abi

// Host is what a test puts in the place of the host.
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

func current() Host {
	if len(hosts) == 0 {
		panic("there is no host here: a test makes one with exomonadtest.NewHost")
	}
	return hosts[len(hosts)-1]
}

// Call performs an effect.
func Call(function string, _ HostFunction, request []byte) []byte {
	return current().Perform(function, request)
}

// Config is the value of a key of the role's configuration.
func Config(key string) (string, bool) { return current().Config(key) }

// Variable is the value of a variable of the sandbox.
func Variable(key string) ([]byte, bool) { return current().Variable(key) }

// SetVariable sets a variable of the sandbox, or removes it if the value is nil.
func SetVariable(key string, value []byte) { current().SetVariable(key, value) }
