package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/warrener-dev/warrener/internal/topology"
)

// explain turns an error of the network, of TLS or of the client into a class
// and a sentence that says what to change. The first that applies counts.
func explain(err error) (topology.Class, string) {
	address := "the broker"
	var failed *dialFailure
	if errors.As(err, &failed) {
		address = failed.address
	}
	for _, explanation := range explanations {
		if class, reason, ok := explanation(err, address); ok {
			return class, reason
		}
	}
	return topology.ClassTransport, err.Error()
}

var explanations = []func(err error, address string) (topology.Class, string, bool){
	explainAlert, explainCertificate, explainFirstRead, explainDial, explainClient,
}

// explainAlert is about alerts that the other side sends during a handshake.
// crypto/tls gives them no type: an alert about a certificate can only be about
// the client's, since clients send those about the server's.
func explainAlert(err error, address string) (topology.Class, string, bool) {
	var remote *net.OpError
	if !errors.As(err, &remote) || remote.Op != "remote error" {
		return "", "", false
	}
	alert := remote.Err.Error()
	if strings.Contains(alert, "certificate") {
		return topology.ClassAuthentication, fmt.Sprintf(
			"TLS: the broker demands a client certificate, or refuses the one it got (%s): see tls.clientCertificateSecretRef",
			strings.TrimPrefix(alert, "tls: ")), true
	}
	return topology.ClassTransport, fmt.Sprintf("TLS: %s: %s", address, strings.TrimPrefix(alert, "tls: ")), true
}

func explainCertificate(err error, address string) (topology.Class, string, bool) {
	var (
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		header    tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &authority):
		return topology.ClassTransport, fmt.Sprintf("TLS: the certificate of %s is signed by an unknown authority: set tls.caRef", address), true
	case errors.As(err, &hostname):
		return topology.ClassTransport, fmt.Sprintf("TLS: %s: %v: set tls.serverName to a name in the certificate", address, hostname), true
	case errors.As(err, &invalid):
		return topology.ClassTransport, fmt.Sprintf("TLS: the certificate of %s: %v", address, invalid), true
	case errors.As(err, &header):
		return topology.ClassTransport, fmt.Sprintf("TLS: %s does not speak TLS: take tls out, or name the TLS listener", address), true
	}
	return "", "", false
}

// explainFirstRead is about connections that a broker closes at once. The
// client tells by the moment what is likely, but only in its text.
func explainFirstRead(err error, address string) (topology.Class, string, bool) {
	var first *kgo.ErrFirstReadEOF
	if !errors.As(err, &first) {
		return "", "", false
	}
	reason := address + " closed the connection at once: "
	switch text := first.Error(); {
	case strings.Contains(text, "is TLS missing?"):
		reason += "does this listener want TLS? Then set tls"
	case strings.Contains(text, "is SASL missing?"):
		reason += "does this listener want a login? Then set authentication"
	default:
		reason += "is it a listener without TLS? Then take tls out"
	}
	return topology.ClassTransport, reason, true
}

func explainDial(err error, address string) (topology.Class, string, bool) {
	var lookup *net.DNSError
	var operation *net.OpError
	switch {
	case errors.As(err, &lookup):
		return topology.ClassTransport, fmt.Sprintf("cannot resolve %s: %s", lookup.Name, lookup.Err), true
	case errors.Is(err, syscall.ECONNREFUSED):
		return topology.ClassTransport, "connection refused by " + address, true
	case errors.Is(err, errNoHandshake), errors.Is(err, errNoAnswer):
		errors.As(err, &operation)
		return topology.ClassTransport, fmt.Sprintf("%v from %s", operation.Err, address), true
	case errors.As(err, &operation) && operation.Timeout():
		return topology.ClassTransport, "no answer from " + address, true
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return topology.ClassTransport, address + " closed the connection", true
	}
	return "", "", false
}

// explainClient knows the client's errors that have no type.
func explainClient(err error, _ string) (topology.Class, string, bool) {
	text := err.Error()
	switch {
	case strings.Contains(text, "appear to be a tls alert"):
		return topology.ClassTransport, "this listener wants TLS, and the connection is without: set tls", true
	case strings.Contains(text, "HTTP response"):
		return topology.ClassTransport, "what listens there speaks HTTP, not Kafka: is the port right?", true
	case strings.Contains(text, "broker connection has died"):
		return topology.ClassTransport, "no answer: the connection broke off", true
	case strings.Contains(text, "broker is too old"):
		return topology.ClassUnsupported, "this broker version does not know the request", true
	}
	return "", "", false
}
