// Package effect performs effects: requests to the host, and their answers.
package effect

import (
	"encoding/json"

	"exomonad"
	"exomonad/internal/abi"
	"exomonad/internal/wire"
)

// Perform performs an effect by its host function. An error is an *exomonad.EffectError: the host's, or
// `internal` if its answer cannot be read.
func Perform(function string, host abi.HostFunction, request wire.Encoder, answer wire.Decoder) error {
	encoded, err := wire.Encode(request)
	if err != nil {
		return &exomonad.EffectError{
			Code:    exomonad.ErrorCodeInvalidInput,
			Message: "the request of " + function + " cannot be written: " + err.Error(),
		}
	}
	return Decode(function, abi.Call(function, host, encoded), answer)
}

// Decode reads an answer as a host function returns it.
func Decode(function string, encoded []byte, answer wire.Decoder) error {
	failure, err := decode(encoded, answer)
	if err != nil {
		return &exomonad.EffectError{
			Code:    exomonad.ErrorCodeInternal,
			Message: "the host's answer to " + function + " cannot be read: " + err.Error(),
		}
	}
	if failure != nil {
		return failure
	}
	return nil
}

func decode(encoded []byte, answer wire.Decoder) (*exomonad.EffectError, error) {
	var failure *exomonad.EffectError
	err := wire.DecodeBy(encoded, func(r *wire.Reader) {
		tag := r.Tag("kind")
		seen := false
		for more := r.Begin(); more; more = r.More() {
			switch {
			case string(r.Key()) != "payload":
				r.Skip()
			case tag == "Success":
				seen = true
				answer.DecodeJSON(r)
			case tag == "Error":
				seen = true
				failure = new(exomonad.EffectError)
				failure.DecodeJSON(r)
			default:
				r.NoVariant("kind", tag, "answer")
			}
		}
		if !seen {
			r.Missing(0, "payload")
		}
	})
	return failure, err
}

// Raw is a payload that is kept as it is written.
type Raw json.RawMessage

// DecodeJSON is for the SDK.
func (v *Raw) DecodeJSON(r *wire.Reader) { *v = Raw(r.Raw()) }
