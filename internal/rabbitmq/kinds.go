package rabbitmq

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/warrener-dev/warrener/internal/topology"
)

// kind is all that the rest of the package knows of a kind of broker object.
type kind struct {
	// collection is the listing's path under /api. With a virtual host's name
	// behind it, it lists that virtual host; scoped says that it can.
	collection string
	scoped     bool
	// columns are the fields that a listing has to carry.
	columns string
	// read runs a listing, of all or of few, and gives what is to be kept of it. It asks
	// once for each object.
	read func(c call, path string, keep func(topology.ID) bool) ([]topology.Resource, map[topology.ID]error, error)
	// locate gives the path under which one object is read: of itself or of a
	// short listing that has it. Nil for kinds that are always listed.
	locate func(id topology.ID) (string, error)

	create, update, remove func(ctx context.Context, b *Broker, step topology.Step) error
}

// kinds is filled in by init: the functions in it refer to it.
var kinds map[topology.Kind]kind

func init() {
	kinds = map[topology.Kind]kind{
		topology.KindVirtualHost: virtualHostKind,
		topology.KindExchange:    exchangeKind,
		topology.KindQueue:       queueKind,
		topology.KindBinding:     bindingKind,
		topology.KindPolicy:      policyKind,
	}
}

// wire is an object as the broker writes it.
type wire interface {
	// id is right even where resource fails. It is final unless arguments, which are worth
	// reading for what is kept alone, can have a part in it.
	id() (id topology.ID, final bool)
	// resource is the object in canonical form; nil for what is no object of
	// its own (the default exchange's bindings).
	resource() (topology.Resource, error)
}

// readAs decodes an answer, a list or one object, as objects of type W. An
// object that cannot be understood does not keep the others from being read.
func readAs[W wire](c call, path string) ([]topology.Resource, map[topology.ID]error, error) {
	return keepAs[W](c, path, everything)
}

// keepAs is readAs for some of the objects: a pass wants a thousand of a listing of
// fifty thousand.
func keepAs[W wire](c call, path string, keep func(topology.ID) bool) ([]topology.Resource, map[topology.ID]error, error) {
	answer := kept[W]{keep: keep, operation: c.operation}
	if err := c.get(path, &answer); err != nil {
		return nil, nil, err
	}
	return answer.resources, answer.unread, nil
}

// kept is what is kept of an answer.
type kept[W wire] struct {
	keep      func(topology.ID) bool
	operation string
	resources []topology.Resource
	unread    map[topology.ID]error
}

func (k *kept[W]) readFrom(body *bufio.Reader) error {
	k.resources, k.unread = nil, map[topology.ID]error{}
	return readRows(body, func(w W) {
		id, final := w.id()
		if final && !k.keep(id) {
			return
		}
		resource, err := w.resource()
		switch {
		case err != nil && (final || k.keep(id)):
			k.unread[id] = &topology.Error{Class: topology.ClassUnsupported, Operation: k.operation, Object: id, Reason: oneLine(err.Error()), Err: err}
		case err == nil && resource != nil && (final || k.keep(resource.ID())):
			k.resources = append(k.resources, resource)
		}
	})
}

// readRows reads a list, and a single object as a list of one, piece by piece.
func readRows[W any](body *bufio.Reader, each func(W)) error {
	many, err := beginsList(body)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(body)
	if !many {
		var one W
		if err := decoder.Decode(&one); err != nil {
			return err
		}
		each(one)
		return nil
	}
	if _, err := decoder.Token(); err != nil {
		return err
	}
	for decoder.More() {
		var next W
		if err := decoder.Decode(&next); err != nil {
			return err
		}
		each(next)
	}
	_, err = decoder.Token()
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF // cut off behind a whole object
	}
	return err
}

// beginsList looks at the first byte that means anything.
func beginsList(body *bufio.Reader) (bool, error) {
	for {
		next, err := body.Peek(1)
		if err != nil {
			return false, err
		}
		switch next[0] {
		case ' ', '\t', '\r', '\n':
			_, err = body.Discard(1)
			if err != nil {
				return false, err
			}
		default:
			return next[0] == '[', nil
		}
	}
}

// arguments is an AMQP table of a live object, as the broker writes it: it is understood when
// somebody asks for it. A value that cannot be held spoils its object, not the listing.
type arguments struct{ raw []byte }

func (a *arguments) UnmarshalJSON(raw []byte) error {
	a.raw = nil
	if table := string(raw); table != "{}" && table != "[]" { // brokers write both
		a.raw = []byte(table)
	}
	return nil
}

// canonical is the table without some keys; nil if nothing is left.
func (a *arguments) canonical(without ...string) (topology.Arguments, error) {
	if len(a.raw) == 0 {
		return nil, nil
	}
	var table topology.Arguments
	if err := table.UnmarshalJSON(a.raw); err != nil {
		return nil, fmt.Errorf("arguments: %w", err)
	}
	for _, key := range without {
		delete(table, key)
	}
	if len(table) == 0 {
		return nil, nil
	}
	return table, nil
}

// flag is a boolean that brokers also write as null or "undefined".
type flag bool

func (f *flag) UnmarshalJSON(raw []byte) error {
	*f = string(raw) == "true"
	return nil
}

// rawArguments is a table for rabbit-hole, whose own JSON would write the float
// 1.0 as the integer 1.
func rawArguments(table topology.Arguments) map[string]any {
	out := make(map[string]any, len(table))
	for key, value := range table {
		out[key] = json.RawMessage(topology.RenderValue(value))
	}
	return out
}

// join escapes the segments of a path under /api.
func join(segments ...string) string {
	escaped := make([]string, len(segments))
	for i, s := range segments {
		escaped[i] = url.PathEscape(s)
	}
	return strings.Join(escaped, "/")
}

// addressable refuses names that no path of the management API can carry: the
// broker decodes a path before it resolves "." and "..", so that "%2E%2E" as a
// queue's name is the listing of all queues.
func addressable(names ...string) error {
	for _, name := range names {
		if name == "." || name == ".." {
			return &topology.Error{Class: topology.ClassUnsupported,
				Reason: fmt.Sprintf("RabbitMQ's management API cannot address the name %q", name)}
		}
		if name == "" {
			return &topology.Error{Class: topology.ClassRejected, Reason: "the name is empty"}
		}
	}
	return nil
}

var errFixed = errors.New("fixed at creation")

// fixed is the update of kinds that no broker changes in place; a plan holds
// nothing of the sort.
func fixed(context.Context, *Broker, topology.Step) error {
	return &topology.Error{Class: topology.ClassUnsupported, Reason: "RabbitMQ cannot change this in place", Err: errFixed}
}
