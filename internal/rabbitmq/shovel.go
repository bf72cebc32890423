package rabbitmq

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/warrener-dev/warrener/internal/migration"
	"github.com/warrener-dev/warrener/internal/topology"
)

// shovelPrefetch is how many messages a shovel has under way. So many can be
// doubled when a broker dies while it moves them.
const shovelPrefetch = 1000

// wireShovel is a dynamic shovel as it is declared.
type wireShovel struct {
	Name        string `json:"name"`
	VirtualHost string `json:"vhost"`
	Value       struct {
		SourceQueue      string `json:"src-queue"`
		DestinationQueue string `json:"dest-queue"`
		SourceURI        texts  `json:"src-uri"`
		DestinationURI   texts  `json:"dest-uri"`
	} `json:"value"`
}

// texts are one text or a list of them; anything else is none.
type texts []string

func (t *texts) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*t = texts{one}
		return nil
	}
	_ = json.Unmarshal(raw, (*[]string)(t)) // not ours to judge
	return nil
}

// names tells whether the shovel could mean this queue: the same name, in the
// shovel's own virtual host or in one of that name, wherever. A URI that names
// none means "/".
func (w wireShovel) names(virtualHost, queue string) bool {
	at := func(name string, uris texts) bool {
		if name != queue {
			return false
		}
		if w.VirtualHost == virtualHost {
			return true
		}
		for _, text := range uris {
			uri, err := url.Parse(text)
			if err != nil {
				continue
			}
			if named := strings.TrimPrefix(uri.Path, "/"); named == virtualHost || uri.Path == "" && virtualHost == "/" {
				return true
			}
		}
		return false
	}
	return at(w.Value.SourceQueue, w.Value.SourceURI) || at(w.Value.DestinationQueue, w.Value.DestinationURI)
}

// wireShovelStatus is what a shovel does.
type wireShovelStatus struct {
	Name        string `json:"name"`
	VirtualHost string `json:"vhost"`
	State       string `json:"state"`
	Reason      any    `json:"reason"`
	Error       any    `json:"error"`
}

// directURI connects a shovel to the virtual host inside the broker, without a
// password. Without a user too: with one, messages that carry another user's
// user_id would end the shovel.
func directURI(virtualHost string) string { return "amqp:///" + url.PathEscape(virtualHost) }

// startShovel declares a shovel through a fanout exchange: one to a queue would
// change the routing key.
func (b *Broker) startShovel(c call, virtualHost string, a migration.StartShovel) error {
	value := map[string]any{
		"src-uri": directURI(virtualHost), "src-queue": a.From, "src-prefetch-count": shovelPrefetch,
		"dest-uri": directURI(virtualHost), "dest-exchange": a.To,
		"ack-mode": "on-confirm", "reconnect-delay": 1, "src-delete-after": "never",
	}
	if a.Most > 0 {
		value["src-delete-after"] = a.Most
	}
	if a.Predeclared {
		value["src-predeclared"] = true
	}
	return c.named("start shovel").write(http.MethodPut, join("parameters", "shovel", virtualHost, a.Name), map[string]any{"value": value})
}

func (b *Broker) stopShovel(c call, virtualHost, name string) error {
	err := c.named("stop shovel").write(http.MethodDelete, join("parameters", "shovel", virtualHost, name), nil)
	if notFound(err) {
		return nil
	}
	return err
}

// tryShovels declares a shovel that lacks everything: the answer tells who would
// refuse a whole one. Its name is plain: 4.x answers 500 if it has to complain
// of one with letters beyond ASCII.
func (b *Broker) tryShovels(c call, virtualHost string) error {
	c = c.named("try shovel")
	err := c.write(http.MethodPut, join("parameters", "shovel", virtualHost, migration.Prefix+"trial"), map[string]any{"value": map[string]any{}})
	if refused(err, "component shovel not found") {
		return noShovels("")
	}
	if status(err) == http.StatusBadRequest {
		err = nil
	}
	if err == nil {
		if err = c.get(join("shovels", virtualHost), &[]wireShovelStatus{}); notFound(err) {
			return noShovels("_management")
		}
	}
	return err
}

func noShovels(which string) error {
	return &topology.Error{Class: topology.ClassUnsupported,
		Reason: "the plugin rabbitmq_shovel" + which + " is not enabled, and a migration moves messages with it: " +
			"run `rabbitmq-plugins enable rabbitmq_shovel rabbitmq_shovel_management` on every node"}
}
