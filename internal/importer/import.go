package importer

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Options say what to import, and how.
type Options struct {
	// VirtualHost to import; "" is all.
	VirtualHost string
	// Topics to import; nil is all.
	Topics *regexp.Regexp
	// Namespace of the custom resources; "" leaves it to whoever applies them.
	Namespace string
}

// wants tells whether an object, or a note on it, is to be imported.
func (o Options) wants(id topology.ID) bool {
	if id.Kind == topology.KindTopic {
		return o.Topics == nil || o.Topics.MatchString(id.Name)
	}
	return o.VirtualHost == "" || id.Scope == o.VirtualHost || id.Scope == "" && (id.Name == o.VirtualHost || id.Name == "")
}

// Import makes manifests of a source, and completes its connection.
func Import(source *Source, options Options) *Result {
	source.Connection.complete()
	r := &run{source: source, options: options, live: source.Live.Objects, defaults: source.defaults(options)}
	result := &Result{Origin: source.Origin, Groups: r.groups()}
	nameAll(r.unnamed)
	for _, group := range result.Groups {
		for _, object := range group.Objects {
			dropNeedlessName(object)
		}
	}
	if !source.Connection.Omit {
		result.Connection, result.Advice = r.connection(result)
	}
	result.Notes = r.shareNotes(result.Groups)
	return result
}

func connectionKind(broker v1alpha1.BrokerType) string {
	if broker == v1alpha1.BrokerTypeKafka {
		return v1alpha1.KindKafkaConnection
	}
	return v1alpha1.KindRabbitMQConnection
}

// run is one import.
type run struct {
	source   *Source
	options  Options
	defaults compile.ConnectionDefaults
	live     map[topology.ID]topology.Resource
	notes    []Note
	unnamed  []candidate
}

func (r *run) note(id topology.ID, format string, args ...any) {
	r.notes = append(r.notes, noteOf(id, format, args...))
}

func (r *run) groups() []Group {
	if r.source.Connection.Broker == v1alpha1.BrokerTypeKafka {
		if topics := r.topics(); len(topics) > 0 {
			return []Group{{Title: "topics", File: "topics", Objects: topics}}
		}
		return nil
	}
	var groups []Group
	files := map[string]bool{"connection": true}
	for _, host := range r.hosts() {
		group := Group{Title: "virtual host " + host, File: fileOf(host, files)}
		group.Objects = newHost(r, host).objects()
		if len(group.Objects) > 0 || host == r.options.VirtualHost {
			groups = append(groups, group)
		}
	}
	return groups
}

func fileOf(host string, taken map[string]bool) string {
	name := "default"
	if host != v1alpha1.DefaultVirtualHost {
		name = ValidName(host)
	}
	if taken[name] {
		name = "virtual-host-" + name
	}
	if taken[name] {
		name += "-" + digest(host)
	}
	taken[name] = true
	return name
}

// hosts are the virtual hosts to import, the default one first.
func (r *run) hosts() []string {
	var out []string
	for id := range r.live {
		if id.Kind == topology.KindVirtualHost && (r.options.VirtualHost == "" || r.options.VirtualHost == id.Name) {
			out = append(out, id.Name)
		}
	}
	slices.Sort(out)
	slices.SortStableFunc(out, func(a, b string) int {
		return cmp.Compare(boolToInt(a != v1alpha1.DefaultVirtualHost), boolToInt(b != v1alpha1.DefaultVirtualHost))
	})
	return out
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// namespaceOf the custom resource of an object.
func (r *run) namespaceOf(id topology.ID) string {
	return cmp.Or(r.source.Known[id].Namespace, r.options.Namespace)
}

func (r *run) connectionNamespace() string {
	return cmp.Or(r.source.Connection.Namespace, r.options.Namespace)
}

// ref is how the resource of an object names the connection.
func (r *run) ref(id topology.ID) v1alpha1.ConnectionReference {
	ref := v1alpha1.ConnectionReference{Name: r.source.Connection.Name}
	if home := r.connectionNamespace(); home != r.namespaceOf(id) {
		ref.Namespace = home
	}
	return ref
}

// virtualHost of a spec: nothing where it is the connection's.
func (r *run) virtualHost(host string) string {
	if host == r.defaults.VirtualHost {
		return ""
	}
	return host
}

func (r *run) meta(id topology.ID) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: r.namespaceOf(id)}
}

func (r *run) retained(id topology.ID) v1alpha1.DeletionPolicy {
	if r.source.Known[id].Retain {
		return v1alpha1.Retain
	}
	return ""
}

// toBeNamed takes an object in that gets its name when all are there.
func (r *run) toBeNamed(object v1alpha1.Object, id topology.ID, wish string) {
	r.unnamed = append(r.unnamed, candidate{object: object, wish: cmp.Or(r.source.Known[id].Name, wish), host: id.Scope})
}

// fits compiles an object and compares what it wants with what is there. The
// reason is empty if nothing would change.
func (r *run) fits(object v1alpha1.Object) (wants []topology.Want, reason string) {
	claim := compile.Claim(object, r.defaults)
	if claim.Invalid != nil {
		return nil, claim.Invalid.Error()
	}
	for _, want := range claim.Want {
		live, there := r.live[want.Resource.ID()]
		if !there {
			return nil, want.Resource.ID().String() + " is not there"
		}
		if changes := want.Resource.Diff(live); len(changes) > 0 {
			return nil, topology.DescribeChanges(changes)
		}
		if policy, ok := want.Resource.(*topology.BrokerPolicy); ok && r.source.Live.Policies != nil {
			if rival := r.source.Live.Policies.Overrules(policy); rival != "" {
				return nil, rival
			}
		}
	}
	return claim.Want, ""
}

// dropNeedlessName removes a name that metadata says already.
func dropNeedlessName(object v1alpha1.Object) {
	drop := func(name *string) {
		if *name == object.GetName() {
			*name = ""
		}
	}
	switch o := object.(type) {
	case *v1alpha1.VirtualHost:
		drop(&o.Spec.Name)
	case *v1alpha1.Exchange:
		drop(&o.Spec.Name)
	case *v1alpha1.Queue:
		drop(&o.Spec.Name)
	case *v1alpha1.Topic:
		if len(o.Name) <= maxTopicName {
			drop(&o.Spec.Name)
		}
	}
}

// shareNotes gives each group the notes about its virtual host, and returns the
// rest.
func (r *run) shareNotes(groups []Group) []Note {
	notes := append(slices.Clone(r.source.Notes), r.notes...)
	for _, id := range sortedIDs(r.source.Live.Unread) {
		if !r.options.wants(id) {
			continue
		}
		if id.Name != "" {
			notes = append(notes, noteOf(id, "could not be read: %v", r.source.Live.Unread[id]))
		} else {
			notes = append(notes, Note{Subject: string(id.Kind) + " objects", Text: fmt.Sprintf("could not be listed: %v", r.source.Live.Unread[id])})
		}
	}
	sortNotes(notes)
	byTitle := map[string]int{}
	for i, g := range groups {
		byTitle[g.Title] = i
	}
	var rest []Note
	for _, note := range notes {
		if r.options.VirtualHost != "" && note.VirtualHost != "" && note.VirtualHost != r.options.VirtualHost {
			continue
		}
		if i, ok := byTitle["virtual host "+note.VirtualHost]; ok {
			groups[i].Notes = append(groups[i].Notes, note)
		} else {
			rest = append(rest, note)
		}
	}
	return rest
}

func (r *run) connection(result *Result) (v1alpha1.Connection, []string) {
	c := r.source.Connection
	meta := metav1.ObjectMeta{Name: c.Name, Namespace: r.connectionNamespace()}
	var advice []string
	if c.Placeholder {
		advice = append(advice, "Put the address of the broker in: what was imported does not tell it.")
	}
	if c.Secret != "" {
		advice = append(advice, fmt.Sprintf("Needs a Secret %s in the same namespace, with the keys username and password.", c.Secret))
	}
	if c.TLS && c.Broker == v1alpha1.BrokerTypeKafka || strings.HasPrefix(c.Endpoint, "https://") {
		advice = append(advice, "If the broker's certificate is not of a public authority, name yours in spec.tls.caRef.")
	}
	allowed := allowedNamespaces(result, meta.Namespace)
	if c.Broker == v1alpha1.BrokerTypeKafka {
		out := &v1alpha1.KafkaConnection{ObjectMeta: meta, Spec: v1alpha1.KafkaConnectionSpec{BootstrapServers: c.Servers, AllowedNamespaces: allowed}}
		if c.Mechanism != "" {
			out.Spec.Authentication = &v1alpha1.KafkaAuthentication{Type: c.Mechanism, SecretRef: &v1alpha1.LocalSecretReference{Name: c.Secret}}
		}
		if c.TLS {
			out.Spec.TLS = &v1alpha1.TLS{}
		}
		return out, advice
	}
	out := &v1alpha1.RabbitMQConnection{ObjectMeta: meta, Spec: v1alpha1.RabbitMQConnectionSpec{
		Endpoint: c.Endpoint, AllowedNamespaces: allowed,
		Authentication: v1alpha1.RabbitMQAuthentication{Type: v1alpha1.RabbitMQAuthenticationBasic, SecretRef: &v1alpha1.LocalSecretReference{Name: c.Secret}},
	}}
	if r.defaults.VirtualHost != v1alpha1.DefaultVirtualHost {
		out.Spec.VirtualHost = r.defaults.VirtualHost
	}
	return out, advice
}

// allowedNamespaces admits the other namespaces that objects are in.
func allowedNamespaces(result *Result, home string) v1alpha1.AllowedNamespaces {
	var others []string
	for _, object := range result.Objects() {
		if n := object.GetNamespace(); n != home && !slices.Contains(others, n) {
			others = append(others, n)
		}
	}
	if len(others) == 0 {
		return v1alpha1.AllowedNamespaces{}
	}
	slices.Sort(others)
	if home != "" { // a selector is for all, the connection's own included
		others = append(others, home)
		slices.Sort(others)
	}
	return v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromSelector, Selector: &metav1.LabelSelector{
		MatchExpressions: []metav1.LabelSelectorRequirement{{
			Key: "kubernetes.io/metadata.name", Operator: metav1.LabelSelectorOpIn, Values: others,
		}},
	}}
}
