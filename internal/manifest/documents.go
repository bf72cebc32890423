package manifest

import (
	"bytes"
	"strings"
)

// document is one YAML document of a file.
type document struct {
	text
	// skip is the number of lines before it in the file.
	skip int
}

// documents cuts a file at lines that begin with ---, as kubectl does: a
// document with a syntax error leaves the others readable, and they can be read
// at the same time.
func documents(t text) []document {
	var out []document
	start, startLine, line, something := 0, 0, 0, false
	cut := func(end int) {
		if something {
			out = append(out, document{text{t.name, t.content[start:end], t.found}, startLine})
		}
		start, startLine, something = end, line, false
	}
	for offset := 0; offset < len(t.content); line++ {
		end := len(t.content)
		if i := bytes.IndexByte(t.content[offset:], '\n'); i >= 0 {
			end = offset + i + 1
		}
		switch row := t.content[offset:end]; {
		case isSeparator(row):
			cut(offset)
			something = len(bytes.TrimSpace(row)) > len("---") && !isRemark(bytes.TrimSpace(row[3:]))
		case !isRemark(bytes.TrimSpace(row)):
			something = true
		}
		offset = end
	}
	cut(len(t.content))
	return out
}

func isSeparator(row []byte) bool {
	rest, ok := bytes.CutPrefix(row, []byte("---"))
	return ok && (len(rest) == 0 || strings.ContainsRune(" \t\r\n", rune(rest[0])))
}

// isRemark tells whether a line holds nothing: blank, a comment or a directive.
func isRemark(row []byte) bool { return len(row) == 0 || row[0] == '#' || row[0] == '%' }
