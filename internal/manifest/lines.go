package manifest

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// node is a part of a document that knows where it stands in its file.
type node struct {
	*yaml.Node
	// skip is the number of lines of the file before the document.
	skip int
}

// line of the node in its file.
func (n node) line() int {
	if n.Node == nil {
		return 0
	}
	return n.Node.Line + n.skip
}

// Line of a field such as "spec.deadLetter.exchange", "spec.bindings[2].source" or
// "spec.config[retention.ms]", in the file of Position. Where the field is not
// written, that of the nearest thing around it that is; the line of the object
// where nothing is.
func (i *Item) Line(path string) int {
	if i.source.Node == nil {
		return i.Position.Line
	}
	return i.source.nearest(path).line()
}

// nearest goes along a path as far as it is written. What it returns stands in
// the line of the key, not of the value.
func (n node) nearest(path string) node {
	here := resolve(n.Node)
	found := n.Node
	for path != "" {
		key, value, rest := step(here, path)
		if value == nil {
			break
		}
		found, here, path = key, resolve(value), strings.TrimPrefix(rest, ".")
	}
	return node{found, n.skip}
}

// step goes one step along a path: the key, or the entry of a list, that the path
// begins with; nil if there is none.
func step(here *yaml.Node, path string) (key, value *yaml.Node, rest string) {
	switch here.Kind {
	case yaml.SequenceNode:
		text, rest, ok := bracket(path)
		i, err := strconv.Atoi(text)
		if !ok || err != nil || i < 0 || i >= len(here.Content) {
			return nil, nil, ""
		}
		return here.Content[i], here.Content[i], rest
	case yaml.MappingNode:
		pairs, _, err := entries(here, 0)
		if err != nil {
			return nil, nil, ""
		}
		text, after, bracketed := bracket(path)
		longest := -1
		for _, p := range pairs {
			name := p.key.Value
			short, isShort := strings.CutSuffix(text, "…")
			switch {
			case bracketed && (name == text || isShort && strings.HasPrefix(name, short)):
				return p.key, p.value, after
			case !bracketed && len(name) > longest && beginsWith(path, name):
				key, value, rest, longest = p.key, p.value, path[len(name):], len(name)
			}
		}
		return key, value, rest
	}
	return nil, nil, ""
}

// beginsWith tells whether name is the first part, or the first parts, of a path:
// keys may have dots.
func beginsWith(path, name string) bool {
	rest, ok := strings.CutPrefix(path, name)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// bracket takes `[text]` or `["te]xt"]` off the front of a path.
func bracket(path string) (text, rest string, ok bool) {
	inner, ok := strings.CutPrefix(path, "[")
	if !ok {
		return "", "", false
	}
	if quoted, err := strconv.QuotedPrefix(inner); err == nil && strings.HasPrefix(inner[len(quoted):], "]") {
		text, err = strconv.Unquote(quoted)
		return text, inner[len(quoted)+1:], err == nil
	}
	return strings.Cut(inner, "]")
}

// field of a table.
func (n node) field(name string) (node, bool) {
	_, value, rest := step(resolve(n.Node), name)
	if value == nil || rest != "" {
		return node{}, false
	}
	return node{resolve(value), n.skip}, true
}

// text of a field of a table; "" if there is none, or if it is no text.
func (n node) text(name string) string {
	if n.Node == nil {
		return ""
	}
	if value, ok := n.field(name); ok && value.Kind == yaml.ScalarNode && value.ShortTag() == "!!str" {
		return value.Value
	}
	return ""
}

// find looks for the text of a value, and tells the path to it.
func (n node) find(text, path string) (found node, at string, ok bool) {
	here := resolve(n.Node)
	switch here.Kind {
	case yaml.ScalarNode:
		return n, path, here.Value == text
	case yaml.SequenceNode:
		for i, entry := range here.Content {
			if found, at, ok = (node{entry, n.skip}).find(text, path+"["+strconv.Itoa(i)+"]"); ok {
				return found, at, true
			}
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(here.Content); i += 2 {
			inner := strings.TrimPrefix(path+"."+here.Content[i].Value, ".")
			if found, at, ok = (node{here.Content[i+1], n.skip}).find(text, inner); ok {
				return found, at, true
			}
		}
	}
	return node{}, "", false
}
