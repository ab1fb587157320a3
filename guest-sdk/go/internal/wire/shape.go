package wire

// Shape is what encoding/json does not look at: the fields that a value must have. Nil is any value.
type Shape struct {
	// The fields of an object by name; nil if it is none.
	Fields map[string]*Field
	// The required fields, in their order.
	Required []string
	// The shape of a list's items.
	Items *Shape
	// The shape of a map's values.
	Values *Shape
}

// Field is a field of an object.
type Field struct {
	// The shape of its value.
	Shape *Shape
	// True if it may be null.
	Nullable bool
	// Its position among the required fields; -1 if it is not required.
	Position int
}

// Check tells what a value lacks, with the place.
func (s *Shape) Check(data []byte) error {
	reader := Reader{data: data}
	s.read(&reader)
	return reader.end()
}

func (s *Shape) read(r *Reader) {
	switch {
	case s == nil:
		r.Skip()
	case s.Fields != nil:
		s.readObject(r)
	case s.Items != nil:
		for more := r.beginList(); more; more = r.moreItems() {
			s.Items.read(r)
		}
	case s.Values != nil:
		for more := r.Begin(); more; more = r.More() {
			s.Values.read(r)
		}
	default:
		r.Skip()
	}
}

func (s *Shape) readObject(r *Reader) {
	var seen uint64
	for more := r.Begin(); more; more = r.More() {
		field := s.Fields[string(r.Key())]
		if field == nil {
			r.Skip()
			continue
		}
		if field.Position >= 0 {
			seen |= 1 << field.Position
		}
		if r.peek() != 'n' {
			field.Shape.read(r)
		} else if field.Nullable {
			r.Skip()
		} else {
			r.wanted("a value")
		}
	}
	// A struct with more required fields than there are bits is looked at as far as they go.
	if required := s.Required[:min(len(s.Required), 64)]; seen != 1<<len(required)-1 {
		r.Missing(seen, required...)
	}
}
