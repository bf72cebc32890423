package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	strictjson "sigs.k8s.io/json"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// result is what one document holds.
type result struct {
	items    []*Item
	others   []*Other
	ignored  []string
	problems []Problem
}

// Kinds of Kubernetes itself that are read.
const (
	kindSecret    = "Secret"
	kindConfigMap = "ConfigMap"
)

// decodeAll decodes files, several documents at a time; the order of the results
// is that of the documents.
func decodeAll(texts []text, namespace string) []result {
	var all []document
	for _, t := range texts {
		all = append(all, documents(t)...)
	}
	out := make([]result, len(all))
	workers := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(all); i += workers {
				out[i] = decode(all[i], namespace)
			}
		})
	}
	wg.Wait()
	return out
}

// decode reads one document.
func decode(d document, namespace string) result {
	var root yaml.Node
	if err := yaml.Unmarshal(d.content, &root); err != nil {
		position, message := d.syntaxError(err)
		return result{problems: []Problem{{Position: position, Message: message}}}
	}
	if root.Kind != yaml.DocumentNode || len(root.Content) == 0 {
		return result{}
	}
	reader := reader{file: d.name, skip: d.skip, namespace: namespace, found: d.found}
	reader.object(node{root.Content[0], d.skip})
	return reader.result
}

// syntaxError finds the place in the text of the library's error.
func (d document) syntaxError(err error) (Position, string) {
	position := Position{File: d.name, Line: d.skip + 1}
	message := plainError(err).Error()
	if parts := syntaxLine.FindStringSubmatch(message); parts != nil {
		line, _ := strconv.Atoi(parts[1])
		message = parts[2]
		if strings.HasPrefix(message, "did not find expected") { // errors of this origin count from 0
			line++
		}
		position.Line = d.skip + min(line, max(bytes.Count(d.content, []byte("\n")), 1))
	}
	return position, "this is no YAML: " + message
}

var syntaxLine = regexp.MustCompile(`(?s)^line (\d+): (.*)$`)

// reader makes items of what it is given.
type reader struct {
	file      string
	skip      int
	namespace string
	found     bool
	result
}

func (r *reader) problem(at node, format string, args ...any) {
	r.problems = append(r.problems, Problem{Position: Position{r.file, at.line()}, Message: fmt.Sprintf(format, args...)})
}

// object reads one object, or the objects of a list.
func (r *reader) object(n node) {
	apiVersion, kind := n.text("apiVersion"), n.text("kind")
	if apiVersion == "" || kind == "" {
		if r.found {
			r.ignore(n, "no Kubernetes object")
			return
		}
		r.problem(n, "this is no Kubernetes object: write apiVersion and kind, as texts")
		return
	}
	if items, isList := n.field("items"); isList && items.Kind == yaml.SequenceNode && strings.HasSuffix(kind, "List") {
		for _, entry := range items.Content {
			r.object(node{resolve(entry), r.skip})
		}
		return
	}
	into, item := empty(apiVersion, kind)
	switch {
	case into != nil:
		r.typed(n, into, item)
	case strings.HasPrefix(apiVersion, v1alpha1.GroupVersion.Group+"/") && kind != v1alpha1.KindBrokerInventory:
		r.problem(n, "there is no kind %s of %s: the kinds are %s, of %s", kind, apiVersion, strings.Join(kindNames(), ", "), v1alpha1.GroupVersion)
	default:
		metadata, _ := n.field("metadata")
		other := &Other{
			APIVersion: apiVersion, Kind: kind, Namespace: metadata.text("namespace"), Name: metadata.text("name"),
			Position: Position{r.file, n.line()}, source: n,
		}
		r.others = append(r.others, other)
		r.ignore(n, other.String())
	}
}

func (r *reader) ignore(n node, what string) {
	r.ignored = append(r.ignored, Position{r.file, n.line()}.String()+": "+what)
}

// empty makes an object of a kind; nil for kinds that are none of ours.
func empty(apiVersion, kind string) (any, *Item) {
	switch apiVersion {
	case "v1":
		switch kind {
		case kindSecret:
			secret := &corev1.Secret{}
			return secret, &Item{Secret: secret}
		case kindConfigMap:
			configMap := &corev1.ConfigMap{}
			return configMap, &Item{ConfigMap: configMap}
		}
	case v1alpha1.GroupVersion.String():
		switch into := ourKinds[kind].empty().(type) {
		case v1alpha1.Object:
			return into, &Item{Object: into}
		case v1alpha1.Connection:
			return into, &Item{Connection: into}
		}
	}
	return nil, nil
}

// ourKind makes empty objects of a kind.
type ourKind struct{ structure reflect.Type }

// ourKinds are those that v1alpha1 has.
var ourKinds = func() map[string]ourKind {
	out := map[string]ourKind{}
	for _, object := range v1alpha1.NewObjects() {
		out[object.KindName()] = ourKind{reflect.TypeOf(object).Elem()}
	}
	for _, connection := range v1alpha1.NewConnections() {
		out[connection.KindName()] = ourKind{reflect.TypeOf(connection).Elem()}
	}
	return out
}()

// empty makes one; nil if there is no such kind.
func (k ourKind) empty() any {
	if k.structure == nil {
		return nil
	}
	return reflect.New(k.structure).Interface()
}

func kindNames() []string {
	var out []string
	for _, connection := range v1alpha1.NewConnections() {
		out = append(out, connection.KindName())
	}
	for _, object := range v1alpha1.NewObjects() {
		out = append(out, object.KindName())
	}
	return out
}

// typed decodes into the Go type, strictly.
func (r *reader) typed(n node, into any, item *Item) {
	c := converter{}
	if err := c.node(n.Node); err != nil {
		r.problem(n, "%v", err)
		return
	}
	item.Position, item.source = Position{r.file, n.line()}, n
	strict, err := strictjson.UnmarshalStrict(c.out, into, strictjson.DisallowUnknownFields)
	if err != nil {
		at, message := explain(n, err)
		r.problem(at, "%s cannot be read: %s", item.Kind(), message)
		return
	}
	if item.Meta().GetName() == "" {
		r.problem(n, "%s has no name: write metadata.name", item.Kind())
		return
	}
	if item.Meta().GetNamespace() == "" {
		item.Meta().SetNamespace(r.namespace)
	}
	r.items = append(r.items, item)
	for _, key := range c.twice {
		r.about(item, key.Line+r.skip, fmt.Sprintf("%s stands twice in one table, and the last one counts: remove one of them", key.Value))
	}
	for _, problem := range strict {
		message, line := problem.Error(), item.Position.Line
		if parts := unknownField.FindStringSubmatch(message); parts != nil {
			line, message = item.Line(parts[1]), "unknown field "+parts[1]+": it is left out"
		}
		r.about(item, line, message)
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return a.Position.Line - b.Position.Line })
}

func (r *reader) about(item *Item, line int, message string) {
	r.problems = append(r.problems, Problem{Position: Position{r.file, line}, Item: item, Message: message})
}

var unknownField = regexp.MustCompile(`^unknown field "(.*)"$`)

// explain finds the field that an error of the decoder is about, if it can be
// told.
func explain(n node, err error) (node, string) {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) && wrongType.Field != "" {
		return n.nearest(wrongType.Field), fmt.Sprintf("%s is a %s, and %s is expected", wrongType.Field, wrongType.Value, wrongType.Type)
	}
	message := strings.TrimPrefix(err.Error(), "json: ")
	// Durations and the like say the value and not the field.
	for _, quoted := range quotedText.FindAllString(message, -1) {
		if value, err := strconv.Unquote(quoted); err == nil {
			if at, field, ok := n.find(value, ""); ok {
				return at, field + ": " + message
			}
		}
	}
	return n, message
}

var quotedText = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
