package dial

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// Keys of Secrets, as Kubernetes spells them for its types of Secrets.
const (
	usernameKey    = "username"
	passwordKey    = "password"
	certificateKey = "tls.crt"
	privateKeyKey  = "tls.key"
)

// Keeper has the Secrets and ConfigMaps that connections name. Its errors are of
// type *Missing where something may come, and anything else where it could not
// be asked.
type Keeper interface {
	Secret(ctx context.Context, namespace, name string) (map[string][]byte, error)
	ConfigMap(ctx context.Context, namespace, name string) (map[string]string, error)
}

// Material is what a connection's Secrets hold. It has no String on purpose:
// nothing prints it.
type Material struct {
	Username, Password string
	// TLS settings; nil where none are asked for.
	TLS *tls.Config
	// Fingerprint changes with anything that a broker's client is built from.
	Fingerprint string
}

// Missing says that a Secret, a ConfigMap or a key is not there; it may come.
type Missing struct{ Message string }

func (e *Missing) Error() string { return e.Message }

// Bad says that what is there cannot be used.
type Bad struct{ Message string }

func (e *Bad) Error() string { return e.Message }

// Read fetches what a connection refers to. Its errors are those of the keeper,
// *Missing and *Bad.
func Read(ctx context.Context, keeper Keeper, c v1alpha1.Connection) (Material, error) {
	var m Material
	hash := sha256.New()
	fmt.Fprintf(hash, "%s %d\n", c.GetUID(), c.GetGeneration())
	note := func(value []byte) { fmt.Fprintf(hash, "%d:%s\n", len(value), value) }
	if name := c.GetCredentialsSecret(); name != "" {
		username, password, err := pairOf(ctx, keeper, c.GetNamespace(), name, usernameKey, passwordKey)
		if err != nil {
			return m, err
		}
		// A line break at the end comes from an editor and is never meant.
		m.Username, m.Password = strings.TrimRight(string(username), "\r\n"), strings.TrimRight(string(password), "\r\n")
		note(username)
		note(password)
	}
	if settings := c.GetTLS(); settings != nil {
		config, parts, err := readTLS(ctx, keeper, c.GetNamespace(), settings)
		if err != nil {
			return m, err
		}
		m.TLS = config
		for _, part := range parts {
			note(part)
		}
	}
	m.Fingerprint = hex.EncodeToString(hash.Sum(nil))
	return m, nil
}

func readTLS(ctx context.Context, keeper Keeper, namespace string, settings *v1alpha1.TLS) (*tls.Config, [][]byte, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: settings.ServerName}
	var parts [][]byte
	if ref := settings.CARef; ref != nil {
		pem, err := readCA(ctx, keeper, namespace, ref)
		if err != nil {
			return nil, nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, nil, &Bad{fmt.Sprintf("tls.caRef: %s %s/%s holds no PEM certificate under %s", ref.Kind, namespace, ref.Name, caKey(ref))}
		}
		parts = append(parts, pem)
	}
	if ref := settings.ClientCertificateSecretRef; ref != nil {
		certificate, key, err := pairOf(ctx, keeper, namespace, ref.Name, certificateKey, privateKeyKey)
		if err != nil {
			return nil, nil, err
		}
		pair, err := tls.X509KeyPair(certificate, key)
		if err != nil {
			// The cause could quote the key.
			return nil, nil, &Bad{fmt.Sprintf("tls.clientCertificateSecretRef: Secret %s/%s: tls.crt and tls.key are not a PEM certificate and its key", namespace, ref.Name)}
		}
		config.Certificates = []tls.Certificate{pair}
		parts = append(parts, certificate, key)
	}
	return config, parts, nil
}

func caKey(ref *v1alpha1.CAReference) string { return cmp.Or(ref.Key, v1alpha1.DefaultCAKey) }

func readCA(ctx context.Context, keeper Keeper, namespace string, ref *v1alpha1.CAReference) ([]byte, error) {
	if ref.Kind == v1alpha1.CAReferenceConfigMap {
		text, err := keeper.ConfigMap(ctx, namespace, ref.Name)
		if err != nil {
			return nil, err
		}
		data := make(map[string][]byte, len(text))
		for key, value := range text {
			data[key] = []byte(value)
		}
		return valueOf(data, "ConfigMap", namespace, ref.Name, caKey(ref))
	}
	data, err := keeper.Secret(ctx, namespace, ref.Name)
	if err != nil {
		return nil, err
	}
	return valueOf(data, "Secret", namespace, ref.Name, caKey(ref))
}

// pairOf reads two values of one Secret.
func pairOf(ctx context.Context, keeper Keeper, namespace, name, oneKey, otherKey string) (one, other []byte, err error) {
	data, err := keeper.Secret(ctx, namespace, name)
	if err != nil {
		return nil, nil, err
	}
	if one, err = valueOf(data, "Secret", namespace, name, oneKey); err != nil {
		return nil, nil, err
	}
	other, err = valueOf(data, "Secret", namespace, name, otherKey)
	return one, other, err
}

func valueOf(data map[string][]byte, kind, namespace, name, key string) ([]byte, error) {
	value, ok := data[key]
	if !ok || len(value) == 0 {
		return nil, &Missing{fmt.Sprintf("%s %s/%s has no key %s", kind, namespace, name, key)}
	}
	return value, nil
}
