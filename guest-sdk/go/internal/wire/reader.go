package wire

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDepth is the deepest nesting of objects and lists that is read.
const MaxDepth = 128

// Decoder is a type of the contract, to be read.
type Decoder interface{ DecodeJSON(*Reader) }

// Reader reads JSON. The first failure is kept, with its place, and ends the reading: whatever is read after
// it is empty.
type Reader struct {
	data []byte
	at   int
	path []step
	err  error
}

// step is an object or a list that is being read: with the key, or the position.
type step struct {
	key   []byte
	index int
}

// Decode reads a value.
func Decode(data []byte, value Decoder) error {
	reader := Reader{data: data}
	value.DecodeJSON(&reader)
	return reader.end()
}

// Check tells why text is not JSON, if it is not.
func Check(data []byte) error {
	reader := Reader{data: data}
	reader.Skip()
	return reader.end()
}

func (r *Reader) end() error {
	if r.err == nil && r.peek() != 0 {
		r.Fail("there is more after the value")
	}
	return r.err
}

// Fail ends the reading, with the place.
func (r *Reader) Fail(message string) {
	if r.err != nil {
		return
	}
	var place strings.Builder
	place.WriteByte('$')
	for _, step := range r.path {
		if step.index >= 0 {
			place.WriteString("[" + strconv.Itoa(step.index) + "]")
		} else if step.key != nil {
			place.WriteByte('.')
			place.Write(step.key)
		}
	}
	r.err = errors.New(strings.ToValidUTF8(place.String(), "\uFFFD") + ": " + message)
	r.at = len(r.data)
}

// Missing fails for the first required field that was not seen; there is a bit for each.
func (r *Reader) Missing(seen uint64, fields ...string) {
	for at, field := range fields {
		if seen&(1<<at) == 0 {
			r.path = append(r.path, step{key: []byte(field), index: -1})
			r.Fail("missing")
			r.path = r.path[:len(r.path)-1]
			return
		}
	}
}

// Unknown fails for a field that a closed object does not have.
func (r *Reader) Unknown() { r.Fail("there is no such field") }

// peek is the next byte that is no space, and 0 at the end.
func (r *Reader) peek() byte {
	for ; r.at < len(r.data); r.at++ {
		switch letter := r.data[r.at]; letter {
		case ' ', '\t', '\n', '\r':
		case 0:
			// It stands for the end here, and is no JSON.
			r.Fail("a byte 0 is no JSON")
		default:
			return letter
		}
	}
	return 0
}

func (r *Reader) wanted(wanted string) {
	found := "and this is no JSON"
	switch letter := r.peek(); letter {
	case 0:
		found = "and it ends"
	case '{':
		found = "not an object"
	case '[':
		found = "not a list"
	case '"':
		found = "not a text"
	case 't', 'f':
		found = "not a boolean"
	case 'n':
		found = "not null"
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		found = "not this number"
	}
	r.Fail("wanted " + wanted + ", " + found)
}

func (r *Reader) enter(open byte, wanted string) bool {
	if r.peek() != open {
		r.wanted(wanted)
		return false
	}
	if len(r.path) >= MaxDepth {
		r.Fail("nested too deeply")
		return false
	}
	r.at++
	r.path = append(r.path, step{index: -1})
	return true
}

func (r *Reader) leave() bool {
	r.at++
	r.path = r.path[:len(r.path)-1]
	return false
}

// Begin begins an object, and goes to its first field if it has one:
//
//	for more := r.Begin(); more; more = r.More() {
//		switch string(r.Key()) { … each case reads the value … }
//	}
func (r *Reader) Begin() bool {
	if !r.enter('{', "an object") {
		return false
	}
	if r.peek() == '}' {
		return r.leave()
	}
	return r.field()
}

// More goes to the next field.
func (r *Reader) More() bool {
	switch r.peek() {
	case ',':
		r.at++
		return r.field()
	case '}':
		return r.leave()
	}
	r.Fail("wanted a comma or the end of the object")
	return false
}

func (r *Reader) field() bool {
	if r.peek() != '"' {
		r.Fail("wanted a key")
		return false
	}
	key := r.text()
	if r.peek() != ':' {
		r.Fail("wanted a colon")
		return false
	}
	r.at++
	r.path[len(r.path)-1].key = key
	return true
}

// Key is the key of the field.
func (r *Reader) Key() []byte { return r.path[len(r.path)-1].key }

// begin begins a list, and goes to its first item if it has one.
func (r *Reader) beginList() bool {
	if !r.enter('[', "a list") {
		return false
	}
	if r.peek() == ']' {
		return r.leave()
	}
	r.path[len(r.path)-1].index = 0
	return true
}

func (r *Reader) moreItems() bool {
	switch r.peek() {
	case ',':
		r.at++
		r.path[len(r.path)-1].index++
		return true
	case ']':
		return r.leave()
	}
	r.Fail("wanted a comma or the end of the list")
	return false
}

// word reads true, false or null, if it is there.
func (r *Reader) word(word string) bool {
	if r.peek() == word[0] && len(r.data)-r.at >= len(word) && string(r.data[r.at:r.at+len(word)]) == word {
		r.at += len(word)
		return true
	}
	return false
}

// Null reads null, if it is there.
func (r *Reader) Null() bool { return r.word("null") }

// Bool reads true or false.
func (r *Reader) Bool() bool {
	if r.word("true") {
		return true
	}
	if !r.word("false") {
		r.wanted("a boolean")
	}
	return false
}

// number is the text of a number, by JSON's grammar.
func (r *Reader) number() []byte {
	r.peek()
	begin := r.at
	digits := func() bool {
		from := r.at
		for r.at < len(r.data) && r.data[r.at] >= '0' && r.data[r.at] <= '9' {
			r.at++
		}
		return r.at > from
	}
	is := func(letters string) bool {
		if r.at < len(r.data) && strings.IndexByte(letters, r.data[r.at]) >= 0 {
			r.at++
			return true
		}
		return false
	}
	is("-")
	whole := is("0") || digits()
	if whole && is(".") {
		whole = digits()
	}
	if whole && is("eE") {
		is("+-")
		whole = digits()
	}
	if !whole {
		r.at = begin
		r.wanted("a number")
		return nil
	}
	return r.data[begin:r.at]
}

// Int reads a whole number of so many bits.
func (r *Reader) Int(bits int) int64 {
	begin := r.at
	text := r.number()
	value, err := strconv.ParseInt(string(text), 10, bits)
	if err != nil {
		r.misfit(begin, "a whole number of "+strconv.Itoa(bits)+" bits")
		return 0
	}
	return value
}

// Uint reads a whole number of so many bits that is not negative.
func (r *Reader) Uint(bits int) uint64 {
	begin := r.at
	text := r.number()
	value, err := strconv.ParseUint(string(text), 10, bits)
	if err != nil && string(text) == "-0" {
		return 0
	}
	if err != nil {
		r.misfit(begin, "a whole number of "+strconv.Itoa(bits)+" bits that is not negative")
		return 0
	}
	return value
}

func (r *Reader) misfit(begin int, wanted string) {
	if r.err == nil {
		r.at = begin
		r.wanted(wanted)
	}
}

// String reads a text.
func (r *Reader) String() string {
	if r.peek() != '"' {
		r.wanted("a text")
		return ""
	}
	return string(r.text())
}

// Bytes reads bytes in base64.
func (r *Reader) Bytes() []byte {
	text := r.String()
	bytes, err := base64.StdEncoding.DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		r.Fail("this is not base64")
		return nil
	}
	return bytes
}

// text reads a text, at whose opening quote the reader stands. A surrogate that is alone becomes U+FFFD.
func (r *Reader) text() []byte {
	r.at++
	begin := r.at
	var decoded []byte
	for r.at < len(r.data) {
		switch letter := r.data[r.at]; {
		case letter == '"':
			text := r.data[begin:r.at]
			if decoded != nil {
				text = append(decoded, text...)
			}
			r.at++
			if !utf8.Valid(text) {
				r.Fail("this text is not UTF-8")
				return nil
			}
			return text
		case letter < ' ':
			r.Fail("a control character in a text")
			return nil
		case letter == '\\':
			decoded = append(decoded, r.data[begin:r.at]...)
			if decoded = r.escape(decoded); decoded == nil {
				r.Fail("this is no escape of JSON")
				return nil
			}
			begin = r.at
		default:
			r.at++
		}
	}
	r.Fail("a text has no end")
	return nil
}

// escape appends what an escape stands for; nil if it is none.
func (r *Reader) escape(to []byte) []byte {
	if to == nil {
		to = make([]byte, 0, 16)
	}
	if r.at+1 >= len(r.data) {
		return nil
	}
	letter := r.data[r.at+1]
	r.at += 2
	switch letter {
	case '"', '\\', '/':
		return append(to, letter)
	case 'b':
		return append(to, '\b')
	case 'f':
		return append(to, '\f')
	case 'n':
		return append(to, '\n')
	case 'r':
		return append(to, '\r')
	case 't':
		return append(to, '\t')
	case 'u':
		unit, ok := r.unit()
		if !ok {
			return nil
		}
		if utf16.IsSurrogate(unit) && r.at+1 < len(r.data) && r.data[r.at] == '\\' && r.data[r.at+1] == 'u' {
			begin := r.at
			r.at += 2
			low, ok := r.unit()
			if !ok {
				return nil
			}
			if pair := utf16.DecodeRune(unit, low); pair != utf8.RuneError {
				return utf8.AppendRune(to, pair)
			}
			r.at = begin
		}
		return utf8.AppendRune(to, unit)
	}
	return nil
}

func (r *Reader) unit() (rune, bool) {
	if r.at+4 > len(r.data) {
		return 0, false
	}
	var unit rune
	for _, digit := range r.data[r.at : r.at+4] {
		at := strings.IndexByte("0123456789abcdef", digit|0x20)
		if digit < '0' || at < 0 {
			return 0, false
		}
		unit = unit<<4 | rune(at)
	}
	r.at += 4
	return unit, true
}

// Raw reads any value as it is written.
func (r *Reader) Raw() json.RawMessage {
	r.peek()
	begin := r.at
	r.Skip()
	if r.err != nil {
		return nil
	}
	return append(json.RawMessage(nil), r.data[begin:r.at]...)
}

// Skip reads any value, and forgets it.
func (r *Reader) Skip() {
	switch r.peek() {
	case '{':
		for more := r.Begin(); more; more = r.More() {
			r.Skip()
		}
	case '[':
		for more := r.beginList(); more; more = r.moreItems() {
			r.Skip()
		}
	case '"':
		r.text()
	case 't', 'f':
		r.Bool()
	case 'n':
		if !r.Null() {
			r.wanted("a value")
		}
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		r.number()
	default:
		r.wanted("a value")
	}
}

// Tag is the value of a field of the object that comes, which is read again afterwards.
func (r *Reader) Tag(field string) string {
	begin, found, value := r.at, false, ""
	for more := r.Begin(); more; more = r.More() {
		if string(r.Key()) == field {
			found, value = true, r.String()
		} else {
			r.Skip()
		}
	}
	if !found {
		r.Missing(0, field)
	}
	if r.err == nil {
		r.at = begin
	}
	return value
}

// NoVariant fails for a tag that a union does not have.
func (r *Reader) NoVariant(field, tag, of string) {
	if r.err == nil {
		r.path = append(r.path, step{key: []byte(field), index: -1})
		r.Fail(strconv.Quote(tag) + " is no " + of)
		r.path = r.path[:len(r.path)-1]
	}
}

// NoConstant fails for a text that is no constant of an enumeration.
func (r *Reader) NoConstant(text, of string) {
	r.Fail(fmt.Sprintf("%q is no %s", text, of))
}

// ReadList reads a list.
func ReadList[T any](r *Reader, item func(*Reader) T) []T {
	list := []T{}
	for more := r.beginList(); more; more = r.moreItems() {
		list = append(list, item(r))
	}
	return list
}

// ReadMap reads a map.
func ReadMap[T any](r *Reader, item func(*Reader) T) map[string]T {
	values := map[string]T{}
	for more := r.Begin(); more; more = r.More() {
		// Before the value is read, which may have keys of its own.
		key := string(r.Key())
		values[key] = item(r)
	}
	return values
}

// Record reads a value of a type that reads itself.
func Record[T any, P interface {
	*T
	Decoder
}](r *Reader) T {
	var value T
	P(&value).DecodeJSON(r)
	return value
}

// Optional is a pointer to a value that is there.
func Optional[T any](value T) *T { return &value }

// DecodeBy reads a value by a function.
func DecodeBy(data []byte, read func(*Reader)) error {
	reader := Reader{data: data}
	read(&reader)
	return reader.end()
}
