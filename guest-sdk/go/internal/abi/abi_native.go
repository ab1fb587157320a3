//go:build !wasip1

package abi

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
