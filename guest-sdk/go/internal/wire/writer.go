// Package wire reads and writes the JSON of the contract's types. It exists beside encoding/json because
// a call begins in a fresh sandbox: nothing here is looked up by reflection, so the first value costs as much
// as the thousandth. It also names the place of a mistake, which encoding/json does not.
package wire

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Encoder is a type of the contract, to be written.
type Encoder interface{ EncodeJSON(*Writer) }

// Writer appends JSON to a buffer. The first failure is kept and the rest is ignored.
type Writer struct {
	buffer []byte
	err    error
}

// Encode is the JSON of a value.
func Encode(value Encoder) ([]byte, error) {
	writer := Writer{buffer: make([]byte, 0, 512)}
	value.EncodeJSON(&writer)
	return writer.buffer, writer.err
}

// Fail notes that a value has no JSON.
func (w *Writer) Fail(message string) {
	if w.err == nil {
		w.err = errors.New(message)
	}
}

// Begin begins an object.
func (w *Writer) Begin() { w.buffer = append(w.buffer, '{') }

// End ends an object.
func (w *Writer) End() { w.buffer = append(w.buffer, '}') }

// Key begins a field. The key is given with its quotes and its colon.
func (w *Writer) Key(key string) {
	if w.buffer[len(w.buffer)-1] != '{' {
		w.buffer = append(w.buffer, ',')
	}
	w.buffer = append(w.buffer, key...)
}

// Tag begins an object with the tag of a union. Both are given as they are written.
func (w *Writer) Tag(field string) {
	w.buffer = append(w.buffer, field...)
}

// Bool writes true or false.
func (w *Writer) Bool(value bool) { w.buffer = strconv.AppendBool(w.buffer, value) }

// Int writes a number.
func (w *Writer) Int(value int64) { w.buffer = strconv.AppendInt(w.buffer, value, 10) }

// Uint writes a number.
func (w *Writer) Uint(value uint64) { w.buffer = strconv.AppendUint(w.buffer, value, 10) }

// String writes a text. What is not UTF-8 becomes U+FFFD.
func (w *Writer) String(text string) { w.buffer = appendString(w.buffer, text) }

// Bytes writes bytes in base64.
func (w *Writer) Bytes(bytes []byte) {
	w.buffer = append(w.buffer, '"')
	w.buffer = base64.StdEncoding.AppendEncode(w.buffer, bytes)
	w.buffer = append(w.buffer, '"')
}

// Raw writes JSON as it is; nothing at all is null.
func (w *Writer) Raw(value json.RawMessage) {
	if len(value) == 0 {
		w.buffer = append(w.buffer, "null"...)
		return
	}
	if err := Check(value); err != nil {
		w.Fail(fmt.Sprintf("a value is not JSON: %v", err))
		return
	}
	w.buffer = append(w.buffer, value...)
}

// Constant writes a constant of an enumeration, which is one if known.
func (w *Writer) Constant(constant string, known bool, of string) {
	if !known {
		w.Fail(fmt.Sprintf("%q is no %s", constant, of))
	}
	w.String(constant)
}

// List writes a list.
func List[T any](w *Writer, list []T, item func(*Writer, T)) {
	w.buffer = append(w.buffer, '[')
	for at, value := range list {
		if at > 0 {
			w.buffer = append(w.buffer, ',')
		}
		item(w, value)
	}
	w.buffer = append(w.buffer, ']')
}

// Map writes a map, its keys in order.
func Map[T any](w *Writer, values map[string]T, item func(*Writer, T)) {
	w.Begin()
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if w.buffer[len(w.buffer)-1] != '{' {
			w.buffer = append(w.buffer, ',')
		}
		w.String(key)
		w.buffer = append(w.buffer, ':')
		item(w, values[key])
	}
	w.End()
}

const hexDigits = "0123456789abcdef"

func appendString(to []byte, text string) []byte {
	to = append(to, '"')
	begin := 0
	for at := 0; at < len(text); {
		letter := text[at]
		if letter < utf8.RuneSelf {
			if letter >= ' ' && letter != '"' && letter != '\\' {
				at++
				continue
			}
			to = append(to, text[begin:at]...)
			switch letter {
			case '"', '\\':
				to = append(to, '\\', letter)
			case '\n':
				to = append(to, '\\', 'n')
			case '\r':
				to = append(to, '\\', 'r')
			case '\t':
				to = append(to, '\\', 't')
			default:
				to = append(to, '\\', 'u', '0', '0', hexDigits[letter>>4], hexDigits[letter&15])
			}
			at++
			begin = at
			continue
		}
		decoded, size := utf8.DecodeRuneInString(text[at:])
		if decoded == utf8.RuneError && size == 1 {
			to = append(to, text[begin:at]...)
			to = append(to, "\uFFFD"...)
			begin = at + 1
		}
		at += size
	}
	to = append(to, text[begin:]...)
	return append(to, '"')
}

// Quote is a text as JSON.
func Quote(text string) []byte { return appendString(nil, text) }
