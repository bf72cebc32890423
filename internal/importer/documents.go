package importer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// resource is a custom resource of another operator.
type resource struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name      string            `json:"name"`
		Namespace string            `json:"namespace"`
		Labels    map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec  json.RawMessage   `json:"spec"`
	Items []json.RawMessage `json:"items"`
}

func (r *resource) String() string {
	name := r.Metadata.Name
	if r.Metadata.Namespace != "" {
		name = r.Metadata.Namespace + "/" + name
	}
	return r.Kind + " " + name
}

// documents reads YAML or JSON, several documents of it, and the items of lists.
func documents(text []byte) ([]*resource, error) {
	var out []*resource
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		raw, err := yaml.YAMLToJSON(document)
		if err != nil {
			return nil, err
		}
		found, err := decodeResource(raw)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
}

func decodeResource(raw []byte) ([]*resource, error) {
	if string(raw) == "null" {
		return nil, nil
	}
	var r resource
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, fmt.Errorf("no custom resource: %w", err)
	}
	if r.Items == nil {
		return []*resource{&r}, nil
	}
	var out []*resource
	for _, item := range r.Items {
		found, err := decodeResource(item)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// Resources reads custom resources of RabbitMQ's messaging topology operator and
// of Strimzi: a source for each cluster that they name. Namespace is that of
// resources which name none.
func Resources(text []byte, namespace string) ([]*Source, error) {
	all, err := documents(text)
	if err != nil {
		return nil, err
	}
	operator, strimzi := newOperator(), newStrimzi()
	var strangers []Note
	for _, r := range all {
		if r.Metadata.Namespace == "" {
			r.Metadata.Namespace = namespace
		}
		known := false
		switch group, _, _ := bytes.Cut([]byte(r.APIVersion), []byte("/")); string(group) {
		case "rabbitmq.com":
			known, err = operator.add(r)
		case "kafka.strimzi.io":
			known, err = strimzi.add(r)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r, err)
		}
		if !known {
			strangers = append(strangers, Note{Subject: r.String(), Text: "left out: Warrener has no kind for it"})
		}
	}
	sources := append(operator.sources(), strimzi.sources()...)
	if len(sources) == 0 {
		return nil, errors.New("neither a definitions file nor custom resources of rabbitmq.com or kafka.strimzi.io")
	}
	sources[0].Notes = append(sources[0].Notes, strangers...)
	return sources, nil
}
