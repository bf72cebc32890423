package rabbitmq

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

// response is an answer that is no success, as the broker gave it.
type response struct {
	status int
	code   string // the field "error": not_authorised, bad_request
	reason string
	// broker says that the answer has the broker's form; a proxy's has not.
	broker bool
	// challenge: the answer asks for credentials. RabbitMQ answers 401 to a
	// failed login, with a challenge, and to a missing permission, without.
	challenge bool
}

func (r *response) Error() string { return fmt.Sprintf("HTTP %d: %s", r.status, r.reason) }

// silence is a request that was not answered in time.
type silence struct{ timeout time.Duration }

func (s *silence) Error() string { return "no answer within " + s.timeout.String() }

// roughly keeps messages the same that differ by some milliseconds.
func roughly(timeout time.Duration) time.Duration {
	if timeout > time.Second {
		return timeout.Round(time.Second)
	}
	return timeout
}

// foreign is an answer that RabbitMQ does not give.
type foreign struct {
	what string
	err  error
}

func (f *foreign) Error() string { return f.what }
func (f *foreign) Unwrap() error { return f.err }

// refusal reads an answer that is no success; nil for a success.
func refusal(r *http.Response) error {
	contentType := r.Header.Get("Content-Type")
	if r.StatusCode >= 200 && r.StatusCode < 300 {
		if strings.HasPrefix(contentType, "text/html") {
			return &foreign{what: describeBody(contentType, r.Body)}
		}
		return nil
	}
	out := &response{status: r.StatusCode, challenge: r.Header.Get("WWW-Authenticate") != ""}
	if r.StatusCode < 400 {
		out.reason = "a redirect" + redirectTarget(r)
		return out
	}
	body, _ := io.ReadAll(io.LimitReader(r.Body, maxErrorBody)) // what came is all there is to tell
	var said struct {
		Error  string `json:"error"`
		Reason any    `json:"reason"`
	}
	if json.Unmarshal(body, &said) == nil && said.Error != "" {
		out.broker, out.code, out.reason = true, said.Error, said.Error
		if text, ok := said.Reason.(string); ok && text != "" {
			out.reason = text
		}
		out.reason = oneLine(out.reason)
		return out
	}
	out.reason = http.StatusText(r.StatusCode)
	if len(body) > 0 {
		out.reason = describeBody(contentType, strings.NewReader(string(body)))
	}
	return out
}

func redirectTarget(r *http.Response) string {
	to, err := r.Location()
	if err != nil {
		return ""
	}
	return " to " + (&url.URL{Scheme: to.Scheme, Host: to.Host, Path: to.Path}).String()
}

var title = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)

// describeBody says in a few words what came instead of JSON: the title of a
// proxy's error page, or the beginning of a text.
func describeBody(contentType string, body io.Reader) string {
	head, _ := io.ReadAll(io.LimitReader(body, 4096))
	text := string(head)
	if found := title.FindStringSubmatch(text); found != nil {
		text = html.UnescapeString(found[1])
	}
	kind, _, _ := strings.Cut(contentType, ";")
	if kind == "" {
		kind = "an answer without a type"
	}
	if text = truncate(oneLine(text), 120); text == "" {
		return kind
	}
	return fmt.Sprintf("%s (%s)", kind, text)
}

func status(err error) int {
	var r *response
	if errors.As(err, &r) {
		return r.status
	}
	return 0
}

func notFound(err error) bool { return status(err) == http.StatusNotFound }

// denied tells a missing permission from missing credentials.
func denied(err error) bool {
	var r *response
	return errors.As(err, &r) && r.class() == topology.ClassAccessDenied
}

// class sorts answers; the object's kind plays no part in it.
func (r *response) class() topology.Class {
	switch {
	case r.status == http.StatusUnauthorized && (r.challenge || !r.broker || r.code == "not_authorized"),
		r.reason == notManagementUser:
		return topology.ClassAuthentication
	case r.status == http.StatusUnauthorized, r.status == http.StatusForbidden,
		strings.Contains(r.reason, "ACCESS_REFUSED"):
		return topology.ClassAccessDenied
	case r.status == http.StatusBadRequest && limitReached.MatchString(r.reason),
		r.status == http.StatusNotFound, r.status == http.StatusConflict, r.status == http.StatusTooManyRequests:
		return topology.ClassTransient
	case r.status == http.StatusMethodNotAllowed, r.status == http.StatusNotImplemented:
		return topology.ClassUnsupported
	case r.status >= 500, r.status < 400, r.status == http.StatusRequestTimeout:
		return topology.ClassTransport
	}
	return topology.ClassRejected
}

const notManagementUser = "Not management user"

// limitReached: a limit of the virtual host, not a fault of the object.
var limitReached = regexp.MustCompile(`limit in vhost .* is reached`)

// classify makes the error that callers of this package see. The cause is kept
// for errors.Is only; the reason holds no secret.
func (b *Broker) classify(operation string, id topology.ID, err error) *topology.Error {
	var known *topology.Error
	if errors.As(err, &known) {
		out := *known
		if out.Object == (topology.ID{}) {
			out.Object = id
		}
		if out.Operation == "" {
			out.Operation = operation
		}
		return &out
	}
	out := &topology.Error{Class: topology.ClassTransport, Operation: operation, Object: id, Err: err}
	var answer *response
	var other *foreign
	switch {
	case errors.As(err, &answer):
		out.Class = answer.class()
		out.Reason = b.explain(answer, out.Class, id)
	case errors.As(err, &other):
		out.Reason = fmt.Sprintf("%s does not answer as RabbitMQ's management API, but with %s", b.host(), other.what)
	default:
		out.Reason = b.explainTransport(err)
		if alert := clientCertificateAlert(err); alert != "" {
			out.Class = topology.ClassAuthentication
			out.Reason = "TLS: " + b.host() + " demands a client certificate, or refuses the one it got (" + alert + "): see tls.clientCertificateSecretRef"
		}
	}
	return out
}

// clientCertificateAlert is what the broker says of the client's certificate in
// the handshake, if that is what failed. crypto/tls gives alerts no type; one
// about a certificate that comes from the server can only be about the client's.
func clientCertificateAlert(err error) string {
	var remote *net.OpError
	if !errors.As(err, &remote) || remote.Op != "remote error" || !strings.Contains(remote.Err.Error(), "certificate") {
		return ""
	}
	return strings.TrimPrefix(remote.Err.Error(), "tls: ")
}

func (b *Broker) explain(r *response, class topology.Class, id topology.ID) string {
	user := fmt.Sprintf("user %q", b.options.Username)
	switch {
	case r.reason == notManagementUser:
		return user + " may not use the management API: give it the tag management, policymaker, monitoring or administrator"
	case class == topology.ClassAuthentication:
		return fmt.Sprintf("RabbitMQ refuses %s: %s", user, strings.ReplaceAll(r.reason, "_", " "))
	case class == topology.ClassAccessDenied && refusedToPolicymakers(r, id):
		return fmt.Sprintf("%s: policies take the tag policymaker or administrator, and permissions in virtual host %q, which %s has not: give them, or write settings: Arguments",
			r.reason, id.Scope, user)
	case class == topology.ClassAccessDenied && id.Scope != "":
		return fmt.Sprintf("%s (%s; its permissions in virtual host %q decide)", r.reason, user, id.Scope)
	case class == topology.ClassAccessDenied:
		return fmt.Sprintf("%s (%s)", r.reason, user)
	case class == topology.ClassTransport:
		return fmt.Sprintf("%s answered %d: %s", b.host(), r.status, r.reason)
	case r.reason == "vhost_not_found":
		return fmt.Sprintf("no virtual host %q", id.Scope)
	case r.reason == "null_not_allowed":
		return "an argument is null, which RabbitMQ does not take (null_not_allowed)"
	case r.status == http.StatusMethodNotAllowed:
		return "this RabbitMQ does not know the request (405)"
	}
	return r.reason
}

// explainTransport says what happened on the way to the broker.
func (b *Broker) explainTransport(err error) string {
	var (
		quiet     *silence
		unknown   x509.UnknownAuthorityError
		wrongName x509.HostnameError
		invalid   x509.CertificateInvalidError
		plain     tls.RecordHeaderError
		noName    *net.DNSError
		network   *net.OpError
	)
	switch {
	case errors.As(err, &quiet):
		return fmt.Sprintf("no answer from %s within %s", b.host(), quiet.timeout)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "interrupted: " + err.Error()
	case errors.As(err, &unknown):
		return "TLS: " + b.host() + " has a certificate signed by an unknown authority: set tls.caRef"
	case errors.As(err, &wrongName):
		return "TLS: the certificate of " + b.host() + " is for another name: set tls.serverName (" + oneLine(wrongName.Error()) + ")"
	case errors.As(err, &invalid):
		return "TLS: the certificate of " + b.host() + " is not valid: " + oneLine(invalid.Error())
	case errors.As(err, &plain), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return b.host() + " does not speak TLS: the endpoint should begin with http://"
	case errors.As(err, &noName):
		return "no address for host " + noName.Name
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused by " + b.host()
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed by " + b.host()
	case errors.As(err, &network):
		return fmt.Sprintf("%s %s: %s", network.Op, b.host(), oneLine(network.Err.Error()))
	}
	var wrapped *url.Error // its text has the URL of the request
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return b.host() + ": " + oneLine(err.Error())
}

// unreachable: no other request will do better now.
func unreachable(err error) bool {
	var quiet *silence
	var answer *response
	return !errors.As(err, &quiet) && !errors.As(err, &answer) &&
		!errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF)
}

// erlangBinary is how Erlang prints a string in a validation message:
// <<"text">>.
var erlangBinary = regexp.MustCompile(`<<("[^"<>]*")>>`)

// oneLine keeps the broker's words and drops line breaks, control characters
// and Erlang's brackets.
func oneLine(text string) string {
	text = erlangBinary.ReplaceAllString(text, "$1")
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\u0085' || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	return truncate(strings.Join(strings.Fields(text), " "), 500)
}

// truncate cuts between characters.
func truncate(text string, most int) string {
	if len(text) <= most {
		return text
	}
	const ellipsis = "…"
	return strings.ToValidUTF8(text[:most-len(ellipsis)], "") + ellipsis
}
