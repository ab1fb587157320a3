package wire

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestHostileBytesAreAnErrorWithoutAPanic(t *testing.T) {
	for _, text := range []string{
		"", " ", "{", "[", `"`, `"\`, `"\u`, `"\u12`, `"\x"`, "tru", "nul", "-", "01", "1.", "1e", ".5", "+1", "{}x", "[1,]",
		`{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `{1:1}`, "\"\x01\"", "\"\xff\"", "\x00", "1\x00", "'a'", "[1 2]", "NaN",
		strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 100_000),
	} {
		if err := Check([]byte(text)); err == nil {
			t.Errorf("%.40q is taken for JSON", text)
		}
		for end := range min(len(text), 40) {
			_ = Check([]byte(text[:end]))
		}
	}
}

func TestNestingIsBounded(t *testing.T) {
	nested := func(depth int) []byte {
		return []byte(strings.Repeat("[", depth) + strings.Repeat("]", depth))
	}
	if err := Check(nested(MaxDepth)); err != nil {
		t.Error(err)
	}
	if err := Check(nested(MaxDepth + 1)); err == nil || !strings.Contains(err.Error(), "nested too deeply") {
		t.Error(err)
	}
}

func TestNumbersAreExactAtBothEnds(t *testing.T) {
	reader := func(text string) *Reader { return &Reader{data: []byte(text)} }
	if value := reader("18446744073709551615").Uint(64); value != math.MaxUint64 {
		t.Error(value)
	}
	if value := reader("-9223372036854775808").Int(64); value != math.MinInt64 {
		t.Error(value)
	}
	for _, text := range []string{"18446744073709551616", "-1", "1.0", "1e3", `"1"`, "true", "null", "{}"} {
		r := reader(text)
		if r.Uint(64); r.err == nil {
			t.Errorf("%s is taken for an unsigned number", text)
		}
	}
	r := reader("65536")
	if r.Uint(16); r.err == nil || r.err.Error() != "$: wanted a whole number of 16 bits that is not negative, not this number" {
		t.Error(r.err)
	}
}

func TestTextsAgreeWithEncodingJSON(t *testing.T) {
	for _, text := range []string{
		`"a"`, `"\"\\\/\b\f\n\r\t"`, `"\u00e4\uD834\uDD1E"`, `"\ud834"`, `"\ud834x"`, `"\ud834\ud834\udd1e"`, `"\udd1e"`, `"\u0000"`,
		`"𝄞ä"`, `"\ud834\n"`,
	} {
		var wanted string
		if err := json.Unmarshal([]byte(text), &wanted); err != nil {
			t.Fatal(err)
		}
		r := Reader{data: []byte(text)}
		if found := r.String(); found != wanted || r.end() != nil {
			t.Errorf("%s is %q, not %q: %v", text, found, wanted, r.err)
		}
		w := Writer{}
		w.String(wanted)
		var again string
		if err := json.Unmarshal(w.buffer, &again); err != nil || again != wanted {
			t.Errorf("%s is written as %s: %v", text, w.buffer, err)
		}
	}
	w := Writer{}
	w.String("a\xffb")
	if string(w.buffer) != "\"a\uFFFDb\"" {
		t.Errorf("%q", w.buffer)
	}
}

func FuzzWhatIsReadIsJSON(f *testing.F) {
	f.Add([]byte(`{"a":[1,-2.5e3,"\ud834\udd1e",true,null]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if Check(data) == nil && !json.Valid(data) {
			t.Errorf("%q is taken for JSON", data)
		}
	})
}
