package exomonad

import "errors"

// Error is the message.
func (e *EffectError) Error() string { return e.Message }

// Failed is the code of the failed effect that an error comes from, and false if it comes from none.
func Failed(err error) (ErrorCode, bool) {
	var failure *EffectError
	if errors.As(err, &failure) {
		return failure.Code, true
	}
	return "", false
}

// FailureOf is an error as the host takes it in the place of a result: that of an effect with its code, any other as
// `internal`.
func FailureOf(err error) *EffectError {
	var failure *EffectError
	if errors.As(err, &failure) {
		return &EffectError{Code: failure.Code, Message: err.Error(), Details: failure.Details}
	}
	return &EffectError{Code: ErrorCodeInternal, Message: err.Error()}
}

// Ptr is a pointer to a value, for optional fields: exomonad.Ptr("main").
func Ptr[T any](value T) *T { return &value }
