package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Operations on one topic, as errors name them.
const (
	opObserve       = "read topics"
	opReadConfig    = "read config"
	opReadOffsets   = "read offsets"
	opReadGroups    = "read consumer groups"
	opCreate        = "create topic"
	opAlterConfig   = "alter config"
	opAddPartitions = "add partitions"
	opDelete        = "delete topic"
	opReassign      = "reassign partitions"
	// of the cluster
	opListReassignments = "list reassignments"
	opThrottle          = "throttle reassignments"
	// excessive is in KRaft's words on too many records ("Unable to perform
	// excessively large batch operation.") and on too many partitions
	// ("Excessively large number of partitions per request.").
	excessive         = "excessively large"
	reasonExistsNow   = "exists now: looking again"
	reasonNotAnswered = "the broker's answer does not mention this topic: looking again"
)

// classes is the one place where an error code of Kafka gets its class. What is
// not in it is Transient. The client's own notion of "retriable" plays no part:
// it counts UNKNOWN_TOPIC_OR_PARTITION and THROTTLING_QUOTA_EXCEEDED, which are
// matters of one topic, among the troubles of the connection.
var classes = map[*kerr.Error]topology.Class{
	kerr.InvalidTopicException:    topology.ClassRejected,
	kerr.InvalidPartitions:        topology.ClassRejected,
	kerr.InvalidReplicationFactor: topology.ClassRejected,
	kerr.InvalidReplicaAssignment: topology.ClassRejected,
	kerr.InvalidConfig:            topology.ClassRejected,
	kerr.InvalidRequest:           topology.ClassRejected,
	kerr.PolicyViolation:          topology.ClassRejected,
	kerr.TopicDeletionDisabled:    topology.ClassRejected,

	kerr.TopicAuthorizationFailed:   topology.ClassAccessDenied,
	kerr.GroupAuthorizationFailed:   topology.ClassAccessDenied,
	kerr.ClusterAuthorizationFailed: topology.ClassAccessDenied,

	kerr.SaslAuthenticationFailed: topology.ClassAuthentication,
	kerr.UnsupportedSaslMechanism: topology.ClassAuthentication,
	kerr.IllegalSaslState:         topology.ClassAuthentication,

	kerr.UnsupportedVersion: topology.ClassUnsupported,
	kerr.SecurityDisabled:   topology.ClassUnsupported,

	kerr.NetworkException:   topology.ClassTransport,
	kerr.BrokerNotAvailable: topology.ClassTransport,

	// Transient by default; those that a reader would look for here:
	kerr.TopicAlreadyExists:      topology.ClassExists,
	kerr.UnknownTopicOrPartition: topology.ClassTransient,
	kerr.UnknownTopicID:          topology.ClassTransient,
	kerr.ThrottlingQuotaExceeded: topology.ClassTransient,
	kerr.NotController:           topology.ClassTransient,
	kerr.RequestTimedOut:         topology.ClassTransient,
	kerr.ReassignmentInProgress:  topology.ClassTransient,
}

// neededACL is the operation on the topic that Kafka checks, per operation here.
var neededACL = map[string]string{
	opObserve:       "Describe",
	opReadConfig:    "DescribeConfigs",
	opReadOffsets:   "Describe",
	opCreate:        "Create",
	opAlterConfig:   "AlterConfigs",
	opAddPartitions: "Alter",
	opDelete:        "Delete",
}

// neededClusterACL is the same for operations that Kafka checks on the cluster.
var neededClusterACL = map[string]string{
	opReassign:          "Alter",
	opListReassignments: "Describe",
	opThrottle:          "AlterConfigs and DescribeConfigs",
}

func classOf(err *kerr.Error) topology.Class {
	return cmp.Or(classes[err], topology.ClassTransient)
}

// codeError is the failure of one topic that the broker answered with a code;
// nil for the code 0.
func (b *Broker) codeError(operation string, id topology.ID, code int16, message *string) error {
	if code == 0 {
		return nil
	}
	known := kerr.TypedErrorForCode(code)
	reason := known.Description
	if message != nil && *message != "" {
		reason = *message
	}
	reason = strings.TrimSuffix(strings.TrimSpace(reason), ".") + " (" + known.Message + ")"
	if advice := b.advice(known, operation, id); advice != "" {
		reason += ": " + advice
	}
	return b.failure(classOf(known), operation, id, reason, known)
}

// advice says what to do where the broker's words do not.
func (b *Broker) advice(err *kerr.Error, operation string, id topology.ID) string {
	switch err {
	case kerr.TopicAuthorizationFailed:
		if acl := neededACL[operation]; acl != "" {
			return fmt.Sprintf("%s needs the ACL operation %s on topic %s", b.who(), acl, id.Name)
		}
	case kerr.TopicDeletionDisabled:
		return "set delete.topic.enable=true on the brokers, or deletionPolicy: Retain"
	case kerr.UnsupportedSaslMechanism:
		return fmt.Sprintf("this listener does not offer the mechanism of authentication.type %s", b.options.Mechanism)
	case kerr.IllegalSaslState:
		return "does this listener ask for a login at all?"
	}
	if err == kerr.ClusterAuthorizationFailed {
		if acl := neededClusterACL[operation]; acl != "" {
			return fmt.Sprintf("%s needs the ACL operation %s on the cluster", b.who(), acl)
		}
	}
	return ""
}

// who names the client for people.
func (b *Broker) who() string {
	if b.options.Username != "" {
		return fmt.Sprintf("user %q", b.options.Username)
	}
	return "this client"
}

// failure builds the error; no password gets through, whoever wrote it.
func (b *Broker) failure(class topology.Class, operation string, id topology.ID, reason string, cause error) *topology.Error {
	reason = strings.Join(strings.Fields(reason), " ")
	if b.options.Password != "" {
		reason = strings.ReplaceAll(reason, b.options.Password, "[password]")
	}
	return &topology.Error{Class: class, Operation: operation, Object: id, Reason: reason, Err: cause}
}

// wholeError classifies why a request, sent at started, got no answer.
func (b *Broker) wholeError(operation string, err error, started time.Time) *topology.Error {
	var classified *topology.Error
	if errors.As(err, &classified) {
		return classified
	}
	var refused *kerr.Error
	if errors.As(err, &refused) {
		class, reason := classOf(refused), b.refusal(refused, err)
		if class == topology.ClassTransient {
			// Of a whole request: a coordinator or controller that is not there.
			class = topology.ClassTransport
		}
		return b.failure(class, operation, topology.ID{}, reason, err)
	}
	class, reason := b.network(err, started)
	return b.failure(class, operation, topology.ID{}, reason, err)
}

func (b *Broker) refusal(refused *kerr.Error, err error) string {
	reason := err.Error()
	if classOf(refused) == topology.ClassAuthentication {
		reason = fmt.Sprintf("%s was refused: %s", b.who(), reason)
	}
	if advice := b.advice(refused, "", topology.ID{}); advice != "" {
		reason += ": " + advice
	}
	return reason
}

// network explains a failure on the way to the broker.
func (b *Broker) network(err error, started time.Time) (topology.Class, string) {
	if errors.Is(err, context.Canceled) {
		return topology.ClassTransport, "cancelled before the broker answered"
	}
	if errors.Is(err, context.DeadlineExceeded) {
		reason := fmt.Sprintf("no answer within %s from %s",
			time.Since(started).Round(100*time.Millisecond), strings.Join(b.options.BootstrapServers, ", "))
		if last := b.lastDialFailure.Load(); last != nil && last.when.After(started) {
			_, why := explain(last)
			reason += "; last: " + why + b.advertised(last.address)
		}
		return topology.ClassTransport, reason
	}
	if _, first := errors.AsType[*kgo.ErrFirstReadEOF](err); first && b.answered.Load() {
		// As while it starts or stops: a guess that the listener is of another kind would
		// send people the wrong way.
		return topology.ClassTransport, "the broker closed the connection"
	}
	class, reason := explain(err)
	var failed *dialFailure
	if errors.As(err, &failed) {
		reason += b.advertised(failed.address)
	}
	return class, reason
}

// advertised points at the usual trap: the bootstrap server was reached, and
// what it sends clients to is not reachable from here.
func (b *Broker) advertised(address string) string {
	for _, server := range b.options.BootstrapServers {
		if server == address || server+":9092" == address {
			return ""
		}
	}
	return " (an address that the brokers advertise: see advertised.listeners)"
}
