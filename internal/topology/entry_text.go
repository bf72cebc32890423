package topology

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The text of an inventory entry is one line for people that parses back
// without loss:
//
//	queue shop order.process owner=Queue/smoke/order-process policy=DeleteIfUnused via=smoke/shop
//
// Kind, scope and name come first, in quotes where they are not plain words,
// then key=value pairs in this order: owner (one or more), policy, via,
// hand-over, field (any number), topic-id, declared, operation, left-behind, since.

// declaredWhole stands for Entry.Whole.
const declaredWhole = "whole"

// MarshalText renders an entry. The kind of its connection is not part of it:
// the inventory is of one kind of broker.
func (e Entry) MarshalText() ([]byte, error) {
	words := []string{quoteName(string(e.ID.Kind)), quoteName(e.ID.Scope), quoteName(e.ID.Name)}
	pair := func(key, value string) {
		if value != "" {
			words = append(words, key+"="+quoteName(value))
		}
	}
	for _, owner := range e.Owners {
		pair("owner", ownerText(owner))
	}
	pair("policy", string(e.Deletion))
	pair("via", e.Connection.Namespace+"/"+e.Connection.Name)
	pair("hand-over", e.HandOverTo)
	for _, field := range e.Fields {
		pair("field", field)
	}
	pair("topic-id", e.TopicID)
	if e.Whole {
		pair("declared", declaredWhole)
	}
	pair("operation", string(e.Operation))
	pair("left-behind", e.LeftBehind)
	if !e.Since.IsZero() {
		pair("since", e.Since.UTC().Format(time.RFC3339))
	}
	return []byte(strings.Join(words, " ")), nil
}

// UnmarshalText reads what MarshalText wrote. Unknown keys are errors: an entry
// that is understood in part could delete what it must not.
func (e *Entry) UnmarshalText(text []byte) error {
	words, err := splitWords(string(text))
	if err != nil {
		return err
	}
	const head = 3
	if len(words) < head {
		return errors.New("an entry has a kind, a scope and a name")
	}
	for _, w := range words[:head] {
		if w.key != "" {
			return fmt.Errorf("%s= stands before the name", w.key)
		}
	}
	*e = Entry{ID: ID{Kind: Kind(words[0].value), Scope: words[1].value, Name: words[2].value}}
	for _, w := range words[head:] {
		if err := e.set(w); err != nil {
			return err
		}
	}
	slices.SortFunc(e.Owners, OwnerKey.Compare)
	return nil
}

func (e *Entry) set(w word) error {
	switch w.key {
	case "owner":
		owner, err := parseOwner(w.value)
		if err != nil {
			return err
		}
		e.Owners = append(e.Owners, owner)
	case "policy":
		switch p := DeletionPolicy(w.value); p {
		case DeleteIfUnused, Delete, Retain:
			e.Deletion = p
		default:
			return fmt.Errorf("policy=%s is no deletion policy", w.value)
		}
	case "via":
		namespace, name, ok := strings.Cut(w.value, "/")
		if !ok {
			return fmt.Errorf("via=%s is not namespace/name", w.value)
		}
		e.Connection.Namespace, e.Connection.Name = namespace, name
	case "hand-over":
		e.HandOverTo = w.value
	case "field":
		e.Fields = append(e.Fields, w.value)
	case "topic-id":
		e.TopicID = w.value
	case "declared":
		if w.value != declaredWhole {
			return fmt.Errorf("declared=%s is no way to declare a binding", w.value)
		}
		e.Whole = true
	case "operation":
		switch kind := OperationKind(w.value); kind {
		case OperationMigrate, OperationRecreate, OperationReassign:
			e.Operation = kind
		default:
			return fmt.Errorf("operation=%s is no operation", w.value)
		}
	case "left-behind":
		e.LeftBehind = w.value
	case "since":
		since, err := time.Parse(time.RFC3339, w.value)
		if err != nil {
			return fmt.Errorf("since=%s is no time", w.value)
		}
		e.Since = since.UTC()
	default:
		return fmt.Errorf("unknown key %q", w.key)
	}
	return nil
}

// word is one part of an entry's text; without a key at its head.
type word struct{ key, value string }

// splitWords takes a line apart at the spaces outside of quotes.
func splitWords(line string) ([]word, error) {
	var words []word
	for rest := strings.TrimLeft(line, " "); rest != ""; rest = strings.TrimLeft(rest, " ") {
		var w word
		if i := strings.IndexAny(rest, `=" `); i > 0 && rest[i] == '=' {
			w.key, rest = rest[:i], rest[i+1:]
		}
		if strings.HasPrefix(rest, `"`) {
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return nil, fmt.Errorf("a quote without its end at %q", rest)
			}
			if w.value, err = strconv.Unquote(quoted); err != nil {
				return nil, fmt.Errorf("%s: %w", quoted, err)
			}
			rest = rest[len(quoted):]
		} else {
			end := strings.IndexByte(rest+" ", ' ')
			w.value, rest = rest[:end], rest[end:]
		}
		if rest != "" && rest[0] != ' ' {
			return nil, fmt.Errorf("a space is missing before %q", rest)
		}
		words = append(words, w)
	}
	return words, nil
}
