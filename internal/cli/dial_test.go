package cli

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// management is RabbitMQ's management API as far as a probe asks; it knows one
// user.
func management(t *testing.T, username, password string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, word, _ := r.BasicAuth(); user != username || word != password {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if strings.Contains(r.URL.Path, "internal_cluster_id") {
			_, _ = w.Write([]byte(`{"value":"rabbitmq-cluster-id-one"}`))
			return
		}
		_, _ = w.Write([]byte(`{"cluster_name":"shop","rabbitmq_version":"4.0.5"}`))
	}))
	t.Cleanup(server.Close)
	return server
}

func shopConnection(endpoint string) *v1alpha1.RabbitMQConnection {
	c := rabbit("orders", "shop", v1alpha1.ConnectionStatus{})
	c.Spec.Endpoint, c.Spec.VirtualHost = endpoint, "shop"
	c.Spec.Authentication.SecretRef = &v1alpha1.LocalSecretReference{Name: "login"}
	return c
}

func login(password string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "orders", Name: "login"}, StringData: map[string]string{"username": "warrener", "password": password}}
}

func TestDialWithSecretsAmongManifests(t *testing.T) {
	server := management(t, "warrener", "hunter2")
	connection := shopConnection(server.URL)
	keeper := fileKeeper{secrets: []*corev1.Secret{login("hunter2")}}
	wanted := []topology.ConnectionKey{connectionKey(connection)}
	links, err := dialAll(t.Context(), brokerFlags{}, []v1alpha1.Connection{connection, calm()}, wanted, keeper)
	if err != nil {
		t.Fatal(err)
	}
	defer hangUp(links)
	if len(links) != 1 || links[0].version != "4.0.5" || links[0].virtualHost != "shop" || links[0].clusterKey() != "RabbitMQConnection rabbitmq-cluster-id-one" {
		t.Errorf("%+v, want the one connection that is wanted", links)
	}
}

func TestDialByFlagAndEnvironment(t *testing.T) {
	server := management(t, "ci", "from-environment")
	t.Setenv(envRabbitMQUsername, "ci")
	t.Setenv(envRabbitMQPassword, "from-environment")
	for name, c := range map[string]struct {
		flags  []string
		there  []v1alpha1.Connection
		wanted []topology.ConnectionKey
		key    string
	}{
		"InsteadOfAConnection": {[]string{server.URL}, []v1alpha1.Connection{shopConnection("http://nowhere.invalid")}, nil, "RabbitMQConnection orders/shop"},
		"ForOneNotThere":       {[]string{"orders/shop=" + server.URL, "x=http://other.invalid"}, nil, []topology.ConnectionKey{{Kind: v1alpha1.KindRabbitMQConnection, Namespace: "orders", Name: "shop"}}, "RabbitMQConnection orders/shop"},
		"OnItsOwn":             {[]string{server.URL}, nil, nil, "RabbitMQConnection default/rabbitmq"},
	} {
		t.Run(name, func(t *testing.T) {
			links, err := dialAll(t.Context(), brokerFlags{rabbitMQ: c.flags}, c.there, c.wanted, fileKeeper{})
			if err != nil {
				t.Fatal(err)
			}
			defer hangUp(links)
			if len(links) != 1 || links[0].key.String() != c.key {
				t.Errorf("%+v, want %s", links, c.key)
			}
		})
	}
}

func TestDialSaysWhatIsMissing(t *testing.T) {
	server := management(t, "warrener", "hunter2")
	shop := topology.ConnectionKey{Kind: v1alpha1.KindRabbitMQConnection, Namespace: "orders", Name: "shop"}
	audit := topology.ConnectionKey{Kind: v1alpha1.KindRabbitMQConnection, Namespace: "audit", Name: "shop"}
	for name, c := range map[string]struct {
		flags  brokerFlags
		there  []v1alpha1.Connection
		wanted []topology.ConnectionKey
		secret string
		want   string
	}{
		"NoConnection": {brokerFlags{}, nil, []topology.ConnectionKey{shop}, "", "RabbitMQConnection orders/shop is not among the manifests: add it, or say where the broker is with --rabbitmq-url"},
		"NoSecret": {
			brokerFlags{}, []v1alpha1.Connection{shopConnection(server.URL)}, nil, "",
			"RabbitMQConnection orders/shop: Secret orders/login is not among the manifests; or set WARRENER_RABBITMQ_USERNAME and WARRENER_RABBITMQ_PASSWORD",
		},
		"NoCredentials": {
			brokerFlags{rabbitMQ: []string{server.URL}}, nil, nil, "",
			"RabbitMQConnection default/rabbitmq: no credentials: set WARRENER_RABBITMQ_USERNAME and WARRENER_RABBITMQ_PASSWORD",
		},
		"OneForTwo": {
			brokerFlags{rabbitMQ: []string{server.URL}}, nil, []topology.ConnectionKey{shop, audit}, "",
			"one address for several connections of kind RabbitMQConnection: write CONNECTION=ADDRESS for each of orders/shop, audit/shop",
		},
		"NoCA": {
			brokerFlags{rabbitMQCA: "/does/not/exist"}, []v1alpha1.Connection{shopConnection(server.URL)}, nil, "hunter2",
			"RabbitMQConnection orders/shop: read the certificates of the authorities: open /does/not/exist: no such file or directory",
		},
	} {
		t.Run(name, func(t *testing.T) {
			keeper := fileKeeper{}
			if c.secret != "" {
				keeper.secrets = []*corev1.Secret{login(c.secret)}
			}
			_, err := dialAll(t.Context(), c.flags, c.there, c.wanted, keeper)
			if err == nil || err.Error() != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

// A refusal names the user and never the password.
func TestDialKeepsPasswords(t *testing.T) {
	server := management(t, "warrener", "right")
	keeper := fileKeeper{secrets: []*corev1.Secret{login("hunter2")}}
	_, err := dialAll(t.Context(), brokerFlags{}, []v1alpha1.Connection{shopConnection(server.URL)}, nil, keeper)
	if err == nil || strings.Contains(err.Error(), "hunter2") || topology.ClassOf(err) != topology.ClassAuthentication {
		t.Errorf("%v, want a refusal without the password", err)
	}
	withPassword := strings.Replace(server.URL, "http://", "http://warrener:hunter2@", 1)
	_, err = dialAll(t.Context(), brokerFlags{rabbitMQ: []string{withPassword}}, []v1alpha1.Connection{shopConnection(server.URL)}, nil, keeper)
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v, want a refusal without the password", err)
	}
}
