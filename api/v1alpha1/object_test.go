/*
Copyright The Warrener Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package v1alpha1

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func TestBrokerName(t *testing.T) {
	meta := metav1.ObjectMeta{Name: "order-process"}
	cases := map[string]struct {
		object Object
		want   string
	}{
		"virtual host, default":    {&VirtualHost{ObjectMeta: meta}, "order-process"},
		"virtual host, named":      {&VirtualHost{ObjectMeta: meta, Spec: VirtualHostSpec{Name: "/a b"}}, "/a b"},
		"exchange, default":        {&Exchange{ObjectMeta: meta}, "order-process"},
		"exchange, named":          {&Exchange{ObjectMeta: meta, Spec: ExchangeSpec{Name: "orders"}}, "orders"},
		"queue, default":           {&Queue{ObjectMeta: meta}, "order-process"},
		"queue, named":             {&Queue{ObjectMeta: meta, Spec: QueueSpec{Name: "order.process"}}, "order.process"},
		"topic, default":           {&Topic{ObjectMeta: meta}, "order-process"},
		"topic, named":             {&Topic{ObjectMeta: meta, Spec: TopicSpec{Name: "user.events"}}, "user.events"},
		"binding, text for people": {&ExchangeBinding{ObjectMeta: meta, Spec: ExchangeBindingSpec{BindingSource: BindingSource{Source: "orders"}, Destination: "audit"}}, "orders -> audit"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := tc.object.BrokerName(); got != tc.want {
				t.Errorf("BrokerName() = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestConnectionKey(t *testing.T) {
	queue := &Queue{ObjectMeta: metav1.ObjectMeta{Namespace: "team"}}
	queue.Spec.ConnectionRef.Name = "shop"
	if got := ConnectionKey(queue).String(); got != "team/shop" {
		t.Errorf("ConnectionKey without a namespace = %s, want the object's own: team/shop", got)
	}
	queue.Spec.ConnectionRef.Namespace = "platform"
	if got := ConnectionKey(queue).String(); got != "platform/shop" {
		t.Errorf("ConnectionKey = %s, want platform/shop", got)
	}
}

func TestDefaultPolicies(t *testing.T) {
	for _, object := range NewObjects() {
		want := EffectivePolicies{Deletion: DeleteIfUnused, Adoption: AdoptIfIdentical, Drift: DriftCorrect, Approval: ApprovalNone}
		if object.KindName() == KindVirtualHost {
			want.Deletion = Retain
		}
		if diff := cmp.Diff(want, object.GetPolicies()); diff != "" {
			t.Errorf("%s without policies (-want +got):\n%s", object.KindName(), diff)
		}
	}
	set := &Topic{Spec: TopicSpec{DeletionPolicy: DeleteAlways, Policies: Policies{AdoptionPolicy: AdoptNever, DriftPolicy: DriftReport, Approval: ApprovalRequired, Suspend: true}}}
	if diff := cmp.Diff(EffectivePolicies{Deletion: DeleteAlways, Adoption: AdoptNever, Drift: DriftReport, Approval: ApprovalRequired}, set.GetPolicies()); diff != "" {
		t.Errorf("policies that are set (-want +got):\n%s", diff)
	}
	if !set.IsSuspended() {
		t.Error("IsSuspended() = false, want true")
	}
}

// The registries must agree: what NewObjects returns is in the scheme under its KindName, has its list
// at the same index, and hands out pointers into it.
func TestRegistries(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	check := func(kind string, object, list runtime.Object) {
		t.Helper()
		for name, o := range map[string]runtime.Object{kind: object, kind + "List": list} {
			gvks, _, err := scheme.ObjectKinds(o)
			if err != nil || len(gvks) != 1 || gvks[0] != GroupVersion.WithKind(name) {
				t.Errorf("%T is registered as %v (%v), want %s", o, gvks, err, name)
			}
		}
	}
	lists := NewObjectLists()
	for i, object := range NewObjects() {
		check(object.KindName(), object, lists[i])
		withTwoItems(t, lists[i])
		items := lists[i].Objects()
		items[1].GetStatus().BrokerName = "written"
		if len(items) != 2 || lists[i].Objects()[1].GetStatus().BrokerName != "written" {
			t.Errorf("%T.Objects() does not return pointers to its items", lists[i])
		}
	}
	connectionLists := NewConnectionLists()
	for i, connection := range NewConnections() {
		check(connection.KindName(), connection, connectionLists[i])
		withTwoItems(t, connectionLists[i])
		items := connectionLists[i].Connections()
		items[1].GetStatus().Version = "written"
		if len(items) != 2 || connectionLists[i].Connections()[1].GetStatus().Version != "written" {
			t.Errorf("%T.Connections() does not return pointers to its items", connectionLists[i])
		}
	}
}

func withTwoItems(t *testing.T, list runtime.Object) {
	t.Helper()
	if err := json.Unmarshal([]byte(`{"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]}`), list); err != nil {
		t.Fatal(err)
	}
}

// A zero status must not be written: an API server would take "status: {}" for a status that somebody
// set, and the default observedGeneration of -1 would be lost.
func TestZeroStatusIsOmitted(t *testing.T) {
	for _, object := range NewObjects() {
		out, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(out), `"status"`) {
			t.Errorf("%s without a status is written as %s", object.KindName(), out)
		}
	}
}

func TestDeepCopyIsEqual(t *testing.T) {
	for _, object := range NewObjects() {
		object.SetName("a")
		object.GetStatus().Conditions = []metav1.Condition{{Type: ConditionReady}}
		clone := object.DeepCopyObject()
		if reflect.TypeOf(clone) != reflect.TypeOf(object) || !cmp.Equal(object, clone) {
			t.Errorf("%s: the copy differs:\n%s", object.KindName(), cmp.Diff(object, clone))
		}
		clone.(Object).GetStatus().Conditions[0].Type = "changed"
		if object.GetStatus().Conditions[0].Type != ConditionReady {
			t.Errorf("%s: writing to the copy changed the original", object.KindName())
		}
	}
}
