package message

// AppendHeaderFields appends what BODY[HEADER.FIELDS (fields)] sends, or with not BODY[HEADER.FIELDS.NOT (fields)]: the chosen fields of a header block, their
// original bytes in their original order, and an empty line (RFC 9051 section 6.4.5.1). Lines that are no fields are never chosen, but kept
// by not.
func AppendHeaderFields(dst, header []byte, fields []string, not bool) []byte {
	for f := range Header(header).Fields() {
		if isOneOf(f, fields) == not {
			continue
		}
		dst = append(dst, f.Raw...)
		if f.Raw[len(f.Raw)-1] != '\n' {
			dst = append(dst, '\r', '\n') // the header ends in the middle of a line
		}
	}
	return append(dst, '\r', '\n')
}

func isOneOf(f Field, names []string) bool {
	if f.Value == nil {
		return false
	}
	for _, name := range names {
		if f.Is(name) {
			return true
		}
	}
	return false
}
