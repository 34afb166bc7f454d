package web

import (
	"bytes"
	"encoding/xml"
	"fmt"
)

// dict is a dictionary of a property list, in order. Values are string, int, bool, dict or []any of these.
type dict []struct {
	key   string
	value any
}

// plist is an Apple property list in its XML form.
func plist(root dict) []byte {
	var b bytes.Buffer
	b.WriteString(xml.Header + `<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">` + "\n<plist version=\"1.0\">\n")
	writeValue(&b, root)
	b.WriteString("</plist>\n")
	return b.Bytes()
}

func writeValue(b *bytes.Buffer, value any) {
	switch v := value.(type) {
	case dict:
		b.WriteString("<dict>\n")
		for _, entry := range v {
			writeElement(b, "key", entry.key)
			writeValue(b, entry.value)
		}
		b.WriteString("</dict>\n")
	case []any:
		b.WriteString("<array>\n")
		for _, item := range v {
			writeValue(b, item)
		}
		b.WriteString("</array>\n")
	case bool:
		fmt.Fprintf(b, "<%t/>\n", v)
	case int:
		fmt.Fprintf(b, "<integer>%d</integer>\n", v)
	case string:
		writeElement(b, "string", v)
	default:
		panic(fmt.Sprintf("a property list cannot hold %T", v))
	}
}

func writeElement(b *bytes.Buffer, name, text string) {
	b.WriteString("<" + name + ">")
	xml.EscapeText(b, []byte(text)) // writing to a bytes.Buffer does not fail
	b.WriteString("</" + name + ">\n")
}
