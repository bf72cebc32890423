package compile

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

var queueTypes = []v1alpha1.QueueType{v1alpha1.QueueTypeClassic, v1alpha1.QueueTypeQuorum, v1alpha1.QueueTypeStream}

func queue(q *v1alpha1.Queue, d *draft) {
	spec := &q.Spec
	d.ownName(nameField(spec.Name), q.BrokerName())
	oneOf(d, "spec.type", spec.Type, queueTypes...)

	d.updatePolicy(spec)
	args := d.queueFields(spec)
	wanted := &topology.Queue{
		VirtualHost: d.virtualHost,
		Name:        q.BrokerName(),
		Type:        string(spec.Type),
		Durable:     spec.IsDurable(),
		AutoDelete:  spec.AutoDelete,
		Arguments:   args,
	}
	d.want(wanted)
	switch {
	case spec.Retry != nil:
		wanted.After = d.retry(q, args)
	case spec.DeadLetter != nil:
		wanted.After = d.deadLetter(q, args)
	}
	d.fitting(spec.Type, args)
	d.freeArguments(args, "spec", "spec.arguments", spec.Arguments, queueArguments)
	d.warnUnknown("spec.arguments", spec.Arguments)
	d.settings(q, wanted)
	d.contract(q)
	if consumer := spec.Consumer; consumer != nil && consumer.Prefetch != nil && (*consumer.Prefetch < 1 || *consumer.Prefetch > maxPrefetch) {
		d.problem("spec.consumer.prefetch", "%d is not from 1 to %d", *consumer.Prefetch, maxPrefetch)
	}
	for i := range spec.Bindings {
		d.bindings(index("spec.bindings", i), &spec.Bindings[i], topology.DestinationQueue, q.BrokerName())
	}
}

// updatePolicy also makes sure of the consent that a migration needs: nobody may
// lose messages for a line that is missing.
func (d *draft) updatePolicy(spec *v1alpha1.QueueSpec) {
	d.update = topology.UpdatePolicy(cmp.Or(spec.UpdatePolicy, v1alpha1.UpdateRefuse))
	oneOf(d, "spec.updatePolicy", d.update, topology.UpdateRefuse, topology.UpdateRecreate, topology.UpdateMigrate)
	if d.update != topology.UpdateMigrate {
		return
	}
	const path = "spec.migration.defaultExchangePublishers"
	if spec.Migration == nil {
		d.problem(path, "is required by updatePolicy: Migrate, which cannot protect what is published through the default exchange: write None, Paused or AcceptLoss")
		return
	}
	oneOf(d, path, spec.Migration.DefaultExchangePublishers, v1alpha1.DefaultExchangeNone, v1alpha1.DefaultExchangePaused, v1alpha1.DefaultExchangeAcceptLoss)
}

// queueFields turns the fields of a queue into its arguments.
func (d *draft) queueFields(spec *v1alpha1.QueueSpec) topology.Arguments {
	args := topology.Arguments{}
	d.setMillis(args, "x-message-ttl", "spec.messageTTL", spec.MessageTTL, 0)
	d.setMillis(args, "x-expires", "spec.expires", spec.Expires, time.Millisecond)
	setInteger(args, "x-max-length", spec.MaxLength)
	setInteger(args, "x-max-length-bytes", spec.MaxLengthBytes)
	setString(args, "x-overflow", spec.Overflow)
	setInteger(args, "x-delivery-limit", spec.DeliveryLimit)
	setInteger(args, "x-max-priority", spec.MaxPriority)
	setString(args, "x-queue-leader-locator", spec.LeaderLocator)
	setString(args, "x-max-age", spec.MaxAge)
	setInteger(args, "x-stream-max-segment-size-bytes", spec.MaxSegmentSizeBytes)
	if spec.SingleActiveConsumer { // false is the broker's default, and other than false to it
		args["x-single-active-consumer"] = true
	}
	if spec.Type == v1alpha1.QueueTypeStream {
		setInteger(args, "x-initial-cluster-size", spec.InitialGroupSize)
	} else {
		setInteger(args, "x-quorum-initial-group-size", spec.InitialGroupSize)
	}
	return args
}

// fitting checks that the type of the queue knows the arguments that its fields
// stand for.
func (d *draft) fitting(queueType v1alpha1.QueueType, args topology.Arguments) {
	if !slices.Contains(queueTypes, queueType) {
		return // reported already, and every field would be reported again
	}
	for _, key := range slices.Sorted(maps.Keys(args)) {
		about := queueArguments[key]
		if about.types == nil || slices.Contains(about.types, queueType) {
			continue
		}
		types := make([]string, len(about.types))
		for i, t := range about.types {
			types[i] = string(t)
		}
		d.coded(CodeQueueType, "spec."+about.field, "a %s queue has no %s: remove the field, or write type: %s", queueType, key, strings.Join(types, " or "))
	}
}
