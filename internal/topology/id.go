package topology

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Kind names a type of broker object, in the broker's own word.
type Kind string

// The kinds of broker objects that Warrener manages.
const (
	KindVirtualHost Kind = "vhost"
	KindExchange    Kind = "exchange"
	KindQueue       Kind = "queue"
	KindBinding     Kind = "binding"
	KindPolicy      Kind = "policy"
	KindTopic       Kind = "topic"
)

// ID identifies one object on one broker cluster. It is comparable, and it is
// stable over processes: the inventory stores it.
type ID struct {
	Kind Kind
	// Scope is the virtual host of a RabbitMQ object; empty on Kafka and for
	// virtual hosts themselves.
	Scope string
	// Name is the object's name on the broker. Bindings have none of their
	// own: see Binding.ID.
	Name string
}

// String is for people: `queue shop/order.process`, `topic order-events`. It is
// unambiguous: what could be mistaken for another ID is quoted.
func (id ID) String() string {
	if id.Scope == "" {
		return string(id.Kind) + " " + quotePart(id.Name)
	}
	name := id.Name
	if id.Kind != KindBinding { // a binding's name is quoted part by part already
		name = quotePart(name)
	}
	return string(id.Kind) + " " + quotePart(id.Scope) + separator(id.Scope) + name
}

// quotePart is quoteName for a part of a path: a slash in it is quoted, but for
// the default virtual host, which is nothing else.
func quotePart(name string) string {
	if name != "/" && strings.Contains(name, "/") {
		return strconv.Quote(name)
	}
	return quoteName(name)
}

// separator keeps the default virtual host readable: "/ orders" and not
// "//orders".
func separator(scope string) string {
	if scope == "/" {
		return " "
	}
	return "/"
}

// Compare orders by kind, scope and name, so that everything that walks over
// objects does it in one order.
func (id ID) Compare(other ID) int {
	return cmp.Or(
		cmp.Compare(id.Kind, other.Kind),
		cmp.Compare(id.Scope, other.Scope),
		cmp.Compare(id.Name, other.Name),
	)
}

// quoteName leaves plain names bare and quotes those that a reader, or a
// parser, could not tell from their surroundings.
func quoteName(name string) string {
	if name == "" {
		return `""`
	}
	for _, r := range name {
		plain := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-:#*/@", r)
		if !plain {
			return strconv.Quote(name)
		}
	}
	return name
}

// SortedIDs lists a set of objects in the order of Compare.
func SortedIDs(set map[ID]struct{}) []ID {
	return slices.SortedFunc(maps.Keys(set), ID.Compare)
}
