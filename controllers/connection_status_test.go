package controllers

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// The status of a connection that was written last counts, until the cache has caught up. What
// somebody else has written since is put right then: a pass that was under way for the
// connection of before, say.
func TestConnectionStatusIsPutRight(t *testing.T) {
	server := newClient(t, interceptor.Funcs{}, connectionObject())
	r, _, _ := newRegistry(server)
	s := r.session(connectionKey())
	read := func() *v1alpha1.RabbitMQConnection {
		t.Helper()
		var c v1alpha1.RabbitMQConnection
		if err := server.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "broker"}, &c); err != nil {
			t.Fatal(err)
		}
		return &c
	}
	pending := func() int32 { t.Helper(); return read().Status.PendingDeletions }
	lagging := read()
	r.reportConnection(t.Context(), s, lagging, nil)
	written := read()
	check(t, "the first report is written", true, len(written.Status.Conditions) > 0)

	r.reportConnection(t.Context(), s, lagging, nil)
	check(t, "a cache that lags is no reason to write again", written.ResourceVersion, read().ResourceVersion)

	other := written.DeepCopy()
	other.Status.PendingDeletions = 3
	if err := server.Status().Update(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	cluster := r.cluster(v1alpha1.BrokerTypeRabbitMQ, "one")
	r.reportConnection(t.Context(), s, written, cluster)
	check(t, "nor is one that has what was written", int32(3), pending())
	r.reportConnection(t.Context(), s, read(), cluster)
	check(t, "what somebody else wrote is put right", int32(0), pending())
}
