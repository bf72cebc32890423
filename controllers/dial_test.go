package controllers

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/dial"
)

// keyPair makes a certificate and its key, in PEM.
func keyPair(t *testing.T) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
}

func secret(name string, data map[string]string) *corev1.Secret {
	out := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Data: map[string][]byte{}}
	for k, v := range data {
		out.Data[k] = []byte(v)
	}
	return out
}

func caFrom(kind v1alpha1.CAReferenceKind, key string) *v1alpha1.TLS {
	return &v1alpha1.TLS{CARef: &v1alpha1.CAReference{Kind: kind, Name: "ca", Key: key}}
}

func TestReadMaterialSaysWhatIsMissing(t *testing.T) {
	certificate, key := keyPair(t)
	otherCertificate, _ := keyPair(t)
	const hidden = "hunter2"
	ofClient := &v1alpha1.TLS{ClientCertificateSecretRef: &v1alpha1.LocalSecretReference{Name: "client"}}
	for name, c := range map[string]struct {
		tls     *v1alpha1.TLS
		objects []client.Object
		get     error
		want    string
		bad     bool
	}{
		"NoSecret":    {want: "Secret shop/login does not exist"},
		"NoPassword":  {objects: []client.Object{secret("login", map[string]string{"username": hidden})}, want: "Secret shop/login has no key password"},
		"NoUsername":  {objects: []client.Object{secret("login", map[string]string{"password": hidden})}, want: "Secret shop/login has no key username"},
		"EmptyValue":  {objects: []client.Object{secret("login", map[string]string{"username": hidden, "password": ""})}, want: "Secret shop/login has no key password"},
		"OtherPlace":  {objects: []client.Object{&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "audit", Name: "login"}}}, want: "Secret shop/login does not exist"},
		"Forbidden":   {get: apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "login", errors.New(hidden)), want: "the controller may not read Secret shop/login: grant its service account get on it (config/rbac/secret_reader.yaml shows how)"},
		"NoConfigMap": {tls: caFrom(v1alpha1.CAReferenceConfigMap, ""), objects: []client.Object{loginSecret()}, want: "ConfigMap shop/ca does not exist"},
		"NoCASecret":  {tls: caFrom(v1alpha1.CAReferenceSecret, ""), objects: []client.Object{loginSecret()}, want: "Secret shop/ca does not exist"},
		"NoCAKey":     {tls: caFrom(v1alpha1.CAReferenceSecret, "root.pem"), objects: []client.Object{loginSecret(), secret("ca", map[string]string{"ca.crt": hidden})}, want: "Secret shop/ca has no key root.pem"},
		"NoPEM": {
			tls: caFrom(v1alpha1.CAReferenceSecret, "ca.crt"), objects: []client.Object{loginSecret(), secret("ca", map[string]string{"ca.crt": hidden})},
			want: "tls.caRef: Secret shop/ca holds no PEM certificate under ca.crt", bad: true,
		},
		"NoPEMUnderTheDefault": {
			tls: caFrom(v1alpha1.CAReferenceSecret, ""), objects: []client.Object{loginSecret(), secret("ca", map[string]string{"ca.crt": hidden})},
			want: "tls.caRef: Secret shop/ca holds no PEM certificate under ca.crt", bad: true,
		},
		"NoClientKey": {tls: ofClient, objects: []client.Object{loginSecret(), secret("client", map[string]string{"tls.crt": string(certificate)})}, want: "Secret shop/client has no key tls.key"},
		"KeyOfAnother": {
			tls: ofClient, objects: []client.Object{loginSecret(), secret("client", map[string]string{"tls.crt": string(otherCertificate), "tls.key": string(key)})},
			want: "tls.clientCertificateSecretRef: Secret shop/client: tls.crt and tls.key are not a PEM certificate and its key", bad: true,
		},
		"KeyIsNoKey": {
			tls: ofClient, objects: []client.Object{loginSecret(), secret("client", map[string]string{"tls.crt": string(certificate), "tls.key": hidden})},
			want: "tls.clientCertificateSecretRef: Secret shop/client: tls.crt and tls.key are not a PEM certificate and its key", bad: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			funcs := interceptor.Funcs{}
			if c.get != nil {
				funcs.Get = func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
					return c.get
				}
			}
			connection := connectionObject()
			connection.Spec.TLS = c.tls
			_, err := readMaterial(t.Context(), newClient(t, funcs, c.objects...), connection)
			check(t, "what is missing, and where", c.want, fmt.Sprint(err))
			var missing *dial.Missing
			var bad *dial.Bad
			if errors.As(err, &missing) == c.bad || errors.As(err, &bad) != c.bad {
				t.Errorf("what may come is waited for, and what is wrong must be edited: %T", err)
			}
			if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), hidden) {
				t.Errorf("the error holds a secret: %#v", err)
			}
		})
	}
}

func TestReadMaterial(t *testing.T) {
	certificate, key := keyPair(t)
	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "ca"}, Data: map[string]string{"ca.crt": string(certificate)}}
	read := func(connection v1alpha1.Connection, objects ...client.Object) dial.Material {
		t.Helper()
		m, err := readMaterial(t.Context(), newClient(t, interceptor.Funcs{}, objects...), connection)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	base := read(connectionObject(), loginSecret())
	check(t, "as it stands in the Secret", []string{"warrener", "hunter2"}, []string{base.Username, base.Password})
	check(t, "no TLS unless asked for", true, base.TLS == nil)
	edited := read(connectionObject(), secret("login", map[string]string{"username": "warrener\n", "password": " hunter2 \r\n"}))
	check(t, "an editor's line break is not meant, a blank is", []string{"warrener", " hunter2 "}, []string{edited.Username, edited.Password})
	check(t, "the same again gives the same", base.Fingerprint, read(connectionObject(), loginSecret()).Fingerprint)

	secured := connectionObject()
	secured.Spec.TLS = &v1alpha1.TLS{
		CARef:                      &v1alpha1.CAReference{Kind: v1alpha1.CAReferenceConfigMap, Name: "ca"},
		ClientCertificateSecretRef: &v1alpha1.LocalSecretReference{Name: "client"}, ServerName: "rabbit",
	}
	m := read(secured, loginSecret(), configMap, secret("client", map[string]string{"tls.crt": string(certificate), "tls.key": string(key)}))
	check(t, "a CA, a certificate and a name", []any{true, 1, "rabbit"}, []any{m.TLS.RootCAs != nil, len(m.TLS.Certificates), m.TLS.ServerName})

	edits := map[string]string{"nothing": base.Fingerprint, "the TLS settings": m.Fingerprint}
	for what, change := range map[string]func(*v1alpha1.RabbitMQConnection, *corev1.Secret){
		"the password": func(_ *v1alpha1.RabbitMQConnection, s *corev1.Secret) { s.Data["password"] = []byte("hunter3") },
		"the username": func(_ *v1alpha1.RabbitMQConnection, s *corev1.Secret) { s.Data["username"] = []byte("guest") },
		"the boundary": func(_ *v1alpha1.RabbitMQConnection, s *corev1.Secret) {
			s.Data["username"], s.Data["password"] = []byte("warrenerh"), []byte("unter2")
		},
		"the generation": func(c *v1alpha1.RabbitMQConnection, _ *corev1.Secret) { c.Generation++ },
		"the object":     func(c *v1alpha1.RabbitMQConnection, _ *corev1.Secret) { c.UID = "another" },
	} {
		c, s := connectionObject(), loginSecret()
		change(c, s)
		got := read(c, s).Fingerprint
		for other, fingerprint := range edits {
			if got == fingerprint {
				t.Errorf("after a change of %s the adapter must be built anew, and it looks like a change of %s", what, other)
			}
		}
		edits[what] = got
	}
	for _, secret := range []string{"hunter2", "warrener"} {
		if strings.Contains(base.Fingerprint, secret) {
			t.Errorf("the fingerprint holds %q", secret)
		}
	}

	kafka := &v1alpha1.KafkaConnection{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "events"}}
	check(t, "no Secret, no credentials", "", read(kafka).Username)
}
