// Package manifest reads what people write: files, folders, kustomizations and
// standard input become typed objects that know their file and the line of each
// of their fields, and compile to claims. No cluster is needed, and none is
// asked.
//
// One bad document stops nobody: what is wrong is a Problem with its place, and
// the rest goes on.
//
//	set.go        what there is when all is read
//	load.go       where manifests come from
//	kustomize.go  the same for kustomizations
//	documents.go  a file is cut into documents
//	json.go       YAML becomes the JSON that kubectl would send
//	decode.go     a document becomes an object
//	lines.go      where a field stands
package manifest

import (
	"encoding/json"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Position is a place in a manifest.
type Position struct {
	// File as it was named or found; "<stdin>" for standard input; the folder of a
	// kustomization for what it makes up itself.
	File string
	// Line from 1; 0 if there is none.
	Line int
}

// String renders `orders.yaml:12`.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return p.File + ":" + strconv.Itoa(p.Line)
}

// Item is one object of a manifest. Exactly one of Object, Connection, Secret and
// ConfigMap is set.
type Item struct {
	Object     v1alpha1.Object
	Connection v1alpha1.Connection
	Secret     *corev1.Secret
	ConfigMap  *corev1.ConfigMap
	// Position of the object: its first line.
	Position Position

	source node
}

// Meta is the metadata of the object, whatever it is. The namespace is filled in.
func (i *Item) Meta() metav1.Object {
	switch {
	case i.Object != nil:
		return i.Object
	case i.Connection != nil:
		return i.Connection
	case i.Secret != nil:
		return i.Secret
	default:
		return i.ConfigMap
	}
}

// Kind is the kind of the object.
func (i *Item) Kind() string {
	switch {
	case i.Object != nil:
		return i.Object.KindName()
	case i.Connection != nil:
		return i.Connection.KindName()
	case i.Secret != nil:
		return kindSecret
	default:
		return kindConfigMap
	}
}

// String renders `Queue shop/orders`.
func (i *Item) String() string {
	return i.Kind() + " " + i.Meta().GetNamespace() + "/" + i.Meta().GetName()
}

// Other is an object of a kind that is not ours.
type Other struct {
	APIVersion, Kind, Namespace, Name string
	// Position of the object: its first line.
	Position Position

	source node
}

// Decode reads the object into a Go value, as encoding/json does.
func (o *Other) Decode(into any) error {
	c := converter{}
	if err := c.node(o.source.Node); err != nil {
		return err
	}
	return json.Unmarshal(c.out, into)
}

// Line of a field; see Item.Line.
func (o *Other) Line(path string) int {
	if o.Position.Line == 0 {
		return 0
	}
	return o.source.nearest(path).line()
}

// String renders `Deployment shop/app`.
func (o *Other) String() string {
	if o.Namespace == "" {
		return strings.TrimSpace(o.Kind + " " + o.Name)
	}
	return o.Kind + " " + o.Namespace + "/" + o.Name
}

// Problem is something that could not be read, or not fully.
type Problem struct {
	Position Position
	// Item was read all the same, without what the problem is about; nil if the
	// document is left out.
	Item *Item
	// Message says what is wrong and what to write instead. It shows no value of a
	// Secret.
	Message string
}

// String renders `orders.yaml:12: Queue shop/orders: unknown field spec.colour`.
func (p Problem) String() string {
	text := p.Position.String() + ": "
	if p.Item != nil {
		text += p.Item.String() + ": "
	}
	return text + p.Message
}

// Set is everything that a Source holds, in the order in which it was read.
type Set struct {
	Items []*Item
	// Others are the objects of other kinds.
	Others []*Other
	// Ignored are the same, and documents that are no objects at all, for people:
	// `app.yaml:3: Deployment shop/app`.
	Ignored []string
	// Problems is what could not be read.
	Problems []Problem
}

// Objects are the items that declare something on a broker.
func (s *Set) Objects() []*Item {
	var out []*Item
	for _, item := range s.Items {
		if item.Object != nil {
			out = append(out, item)
		}
	}
	return out
}

// Connections are the connections of the set by their keys.
func (s *Set) Connections() map[topology.ConnectionKey]v1alpha1.Connection {
	out := map[topology.ConnectionKey]v1alpha1.Connection{}
	for _, item := range s.Items {
		if c := item.Connection; c != nil {
			out[topology.ConnectionKey{Kind: c.KindName(), Namespace: c.GetNamespace(), Name: c.GetName()}] = c
		}
	}
	return out
}

// Secret of the set; nil if there is none of that name.
func (s *Set) Secret(namespace, name string) *corev1.Secret {
	for _, item := range s.Items {
		if item.Secret != nil && item.Secret.Namespace == namespace && item.Secret.Name == name {
			return item.Secret
		}
	}
	return nil
}

// ConfigMap of the set; nil if there is none of that name.
func (s *Set) ConfigMap(namespace, name string) *corev1.ConfigMap {
	for _, item := range s.Items {
		if item.ConfigMap != nil && item.ConfigMap.Namespace == namespace && item.ConfigMap.Name == name {
			return item.ConfigMap
		}
	}
	return nil
}

// Claims compiles the objects of the set: one claim for each of Objects, in the
// same order. A connection of the set gives its virtual host and the approval that
// it requires to the objects that use it; the rest comes from defaults, whose Key counts for nothing.
func (s *Set) Claims(defaults compile.ConnectionDefaults) []topology.Claim {
	connections := s.Connections()
	objects := s.Objects()
	claims := make([]topology.Claim, len(objects))
	for i, item := range objects {
		key := compile.ConnectionOf(item.Object)
		from := defaults
		from.Key = key
		if rabbit, ok := connections[key].(*v1alpha1.RabbitMQConnection); ok {
			from.VirtualHost = rabbit.GetVirtualHost()
		}
		if connection := connections[key]; connection != nil {
			from.Approval = connection.GetApproval()
		}
		claims[i] = compile.Claim(item.Object, from)
	}
	return claims
}
