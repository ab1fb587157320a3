package exomonad

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"exomonad/internal/wire"
)

// JSONSchemer is a type that gives its own JSON Schema.
type JSONSchemer interface{ JSONSchema() json.RawMessage }

// SchemaOf is the JSON Schema of a type, as encoding/json writes its values. The tags of a struct's fields add to
// it:
//
//	type Arguments struct {
//		Name  string   `json:"name" jsonschema:"Whom to greet." minLength:"1"`
//		Times int      `json:"times,omitempty" jsonschema:"How often; once if absent." minimum:"1" maximum:"10"`
//		Tone  string   `json:"tone,omitempty" jsonschema:"The tone." enum:"warm,cold" default:"warm"`
//		Also  []string `json:"also,omitempty" jsonschema:"Others." maxItems:"5"`
//	}
//
// The tag jsonschema is the description. A field is required unless it has omitempty or omitzero, or is a pointer.
// The other tags are named as the keywords of JSON Schema are: minimum, maximum, exclusiveMinimum,
// exclusiveMaximum, multipleOf, minLength, maxLength, pattern, format, minItems, maxItems, uniqueItems, enum
// (of texts or numbers, with commas) and default. A struct has no other properties than its fields.
//
// It panics for types that have no JSON, such as functions, and for tags that make no sense.
func SchemaOf[T any]() json.RawMessage {
	schema := schemas{}
	schema.of(reflect.TypeFor[T]())
	return json.RawMessage(schema.String())
}

type schemas struct {
	strings.Builder
	within []reflect.Type
}

var (
	rawType     = reflect.TypeFor[json.RawMessage]()
	timeType    = reflect.TypeFor[time.Time]()
	schemerType = reflect.TypeFor[JSONSchemer]()
	jsonType    = reflect.TypeFor[json.Marshaler]()
	textType    = reflect.TypeFor[encoding.TextMarshaler]()
	wireType    = reflect.TypeFor[wire.Encoder]()
)

// of writes the schema of a type, and more keywords before its end.
func (s *schemas) of(ty reflect.Type, more ...string) {
	pointer := reflect.PointerTo(ty)
	if pointer.Implements(schemerType) {
		own := strings.TrimSpace(string(reflect.New(ty).Interface().(JSONSchemer).JSONSchema()))
		own = strings.TrimSuffix(strings.TrimPrefix(own, "{"), "}")
		s.object(append([]string{strings.TrimSpace(own)}, more...)...)
		return
	}
	switch {
	case ty == timeType:
		s.object(append([]string{`"type":"string","format":"date-time"`}, more...)...)
		return
	case ty == rawType:
		s.object(more...)
		return
	// The contract's own types have methods for JSON, and the JSON of their fields.
	case pointer.Implements(wireType):
	case pointer.Implements(jsonType):
		s.object(more...)
		return
	case pointer.Implements(textType):
		s.object(append([]string{`"type":"string"`}, more...)...)
		return
	}
	switch ty.Kind() {
	case reflect.Bool:
		s.object(append([]string{`"type":"boolean"`}, more...)...)
	case reflect.Int8, reflect.Int16, reflect.Int32:
		bits := ty.Bits()
		s.object(bounded(more, -1<<(bits-1), 1<<(bits-1)-1)...)
	case reflect.Int, reflect.Int64:
		s.object(append([]string{`"type":"integer"`}, more...)...)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		s.object(bounded(more, 0, 1<<ty.Bits()-1)...)
	case reflect.Uint, reflect.Uint64, reflect.Uintptr:
		if !has(more, "minimum") {
			more = append([]string{`"minimum":0`}, more...)
		}
		s.object(append([]string{`"type":"integer"`}, more...)...)
	case reflect.Float32, reflect.Float64:
		s.object(append([]string{`"type":"number"`}, more...)...)
	case reflect.String:
		s.object(append([]string{`"type":"string"`}, more...)...)
	case reflect.Pointer:
		s.of(ty.Elem(), more...)
	case reflect.Interface:
		s.object(more...)
	case reflect.Slice, reflect.Array:
		s.list(ty, more)
	case reflect.Map:
		s.nested(ty, more, func() {
			s.WriteString(`"type":"object","additionalProperties":`)
			s.of(ty.Elem())
		})
	case reflect.Struct:
		s.nested(ty, more, func() { s.fields(ty) })
	default:
		panic(fmt.Sprintf("%v has no JSON", ty))
	}
}

func (s *schemas) list(ty reflect.Type, more []string) {
	if ty.Elem().Kind() == reflect.Uint8 && ty.Kind() == reflect.Slice {
		s.object(append([]string{`"type":"string","contentEncoding":"base64"`}, more...)...)
		return
	}
	s.nested(ty, more, func() {
		s.WriteString(`"type":"array","items":`)
		s.of(ty.Elem())
		if ty.Kind() == reflect.Array {
			fmt.Fprintf(s, `,"minItems":%d,"maxItems":%[1]d`, ty.Len())
		}
	})
}

// nested writes the schema of a type that has others. One that has itself has any value there.
func (s *schemas) nested(ty reflect.Type, more []string, body func()) {
	for _, outer := range s.within {
		if outer == ty {
			s.object(more...)
			return
		}
	}
	s.within = append(s.within, ty)
	s.WriteByte('{')
	body()
	for _, keyword := range more {
		s.WriteByte(',')
		s.WriteString(keyword)
	}
	s.WriteByte('}')
	s.within = s.within[:len(s.within)-1]
}

func (s *schemas) object(keywords ...string) {
	s.WriteByte('{')
	first := true
	for _, keyword := range keywords {
		if keyword == "" {
			continue
		}
		if !first {
			s.WriteByte(',')
		}
		first = false
		s.WriteString(keyword)
	}
	s.WriteByte('}')
}

func (s *schemas) fields(ty reflect.Type) {
	s.WriteString(`"type":"object","properties":{`)
	var names []string
	isFirst := true
	eachField(ty, func(name string, field reflect.StructField, required bool) {
		if !isFirst {
			s.WriteByte(',')
		}
		isFirst = false
		s.WriteString(quoted(name) + ":")
		s.of(field.Type, keywords(field)...)
		if required {
			names = append(names, quoted(name))
		}
	})
	s.WriteByte('}')
	if len(names) > 0 {
		s.WriteString(`,"required":[` + strings.Join(names, ",") + `]`)
	}
	s.WriteString(`,"additionalProperties":false`)
}

// keywords are those that a field's tags name.
func keywords(field reflect.StructField) []string {
	var found []string
	add := func(name, value string) { found = append(found, quoted(name)+":"+value) }
	if text, ok := field.Tag.Lookup("jsonschema"); ok {
		add("description", quoted(text))
	}
	for _, name := range []string{
		"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
		"minLength", "maxLength", "minItems", "maxItems",
	} {
		if text, ok := field.Tag.Lookup(name); ok {
			if _, err := strconv.ParseFloat(text, 64); err != nil || wire.Check([]byte(text)) != nil {
				panic(fmt.Sprintf("the tag %s of the field %s is no number: %q", name, field.Name, text))
			}
			add(name, text)
		}
	}
	for _, name := range []string{"pattern", "format"} {
		if text, ok := field.Tag.Lookup(name); ok {
			add(name, quoted(text))
		}
	}
	if text, ok := field.Tag.Lookup("uniqueItems"); ok && text == "true" {
		add("uniqueItems", text)
	}
	if text, ok := field.Tag.Lookup("enum"); ok {
		values := strings.Split(text, ",")
		for at, value := range values {
			values[at] = literal(field, value)
		}
		add("enum", "["+strings.Join(values, ",")+"]")
	}
	if text, ok := field.Tag.Lookup("default"); ok {
		add("default", literal(field, text))
	}
	return found
}

// literal is a tag's value as JSON: a text for a field of texts, and otherwise what it says.
func literal(field reflect.StructField, value string) string {
	ty := field.Type
	for ty.Kind() == reflect.Pointer {
		ty = ty.Elem()
	}
	if ty.Kind() == reflect.String {
		return quoted(value)
	}
	if err := wire.Check([]byte(value)); err != nil {
		panic(fmt.Sprintf("a tag of the field %s is no JSON: %q", field.Name, value))
	}
	return value
}

// bounded adds the bounds of a type of numbers, unless the tags have their own.
func bounded(more []string, minimum, maximum int64) []string {
	keywords := []string{`"type":"integer"`}
	if !has(more, "minimum") {
		keywords = append(keywords, `"minimum":`+strconv.FormatInt(minimum, 10))
	}
	if !has(more, "maximum") {
		keywords = append(keywords, `"maximum":`+strconv.FormatInt(maximum, 10))
	}
	return append(keywords, more...)
}

func has(keywords []string, name string) bool {
	for _, keyword := range keywords {
		if strings.HasPrefix(keyword, quoted(name)+":") {
			return true
		}
	}
	return false
}

func quoted(text string) string { return string(wire.Quote(text)) }

// shapeOf is what a value of a type must have; nil if that is anything. Types that read themselves, or contain
// themselves, are not looked into.
func shapeOf(ty reflect.Type, within ...reflect.Type) *wire.Shape {
	unmarshaler := reflect.TypeFor[json.Unmarshaler]()
	if ty == timeType || ty == rawType || reflect.PointerTo(ty).Implements(unmarshaler) ||
		reflect.PointerTo(ty).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return nil
	}
	for _, outer := range within {
		if outer == ty {
			return nil
		}
	}
	within = append(within, ty)
	switch ty.Kind() {
	case reflect.Pointer:
		return shapeOf(ty.Elem(), within...)
	case reflect.Slice, reflect.Array:
		if items := shapeOf(ty.Elem(), within...); items != nil {
			return &wire.Shape{Items: items}
		}
	case reflect.Map:
		if values := shapeOf(ty.Elem(), within...); values != nil {
			return &wire.Shape{Values: values}
		}
	case reflect.Struct:
		shape := &wire.Shape{Fields: map[string]*wire.Field{}}
		eachField(ty, func(name string, field reflect.StructField, required bool) {
			added := &wire.Field{Shape: shapeOf(field.Type, within...), Position: -1}
			kind := field.Type.Kind()
			added.Nullable = !required || kind == reflect.Interface || field.Type == rawType
			if required && len(shape.Required) < 64 {
				added.Position = len(shape.Required)
				shape.Required = append(shape.Required, name)
			}
			shape.Fields[name] = added
		})
		return shape
	}
	return nil
}

// eachField calls a function for each field that encoding/json knows, with its name and whether it is required.
func eachField(ty reflect.Type, each func(name string, field reflect.StructField, required bool)) {
	seen := map[string]bool{}
	var visit func(reflect.Type)
	visit = func(ty reflect.Type) {
		for at := range ty.NumField() {
			field := ty.Field(at)
			tag := field.Tag.Get("json")
			name, options, _ := strings.Cut(tag, ",")
			if tag == "-" || (!field.IsExported() && !field.Anonymous) {
				continue
			}
			if field.Anonymous && name == "" {
				embedded := field.Type
				if embedded.Kind() == reflect.Pointer {
					embedded = embedded.Elem()
				}
				if embedded.Kind() == reflect.Struct {
					visit(embedded)
					continue
				}
			}
			if name == "" {
				name = field.Name
			}
			if seen[name] {
				continue
			}
			seen[name] = true
			isOptional := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
			each(name, field, !isOptional && field.Type.Kind() != reflect.Pointer)
		}
	}
	visit(ty)
}
