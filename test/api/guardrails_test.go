package api_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Every case, where the guardrails are enforced, where they warn, where they are not asked for, and where one is excepted.
func TestGuardrails(t *testing.T) {
	r := newRails(t)
	enforced := r.namespace(t, "enforced", map[string]string{guardrails: "enforced"}, nil)
	warned := r.namespace(t, "warned", map[string]string{guardrails: "warn"}, nil)
	free := r.namespace(t, "free", nil, nil)
	exempt := map[string]string{}
	for _, g := range firstRefusals() {
		exempt[g.policy] = r.namespace(t, "without-"+g.policy, map[string]string{guardrails: "enforced", guardrail + g.policy: "exempt"}, nil)
	}
	r.inForce(t, enforced)
	r.warnsIn(t, warned)
	for _, g := range guardedCases {
		t.Run(g.policy+"/"+g.kind+"/"+g.reason, func(t *testing.T) {
			err := r.try(t, g.in(t, enforced))
			if g.words == "" {
				wantAccepted(t, "enforced", err)
			} else {
				wantRefusedBy(t, g, enforced, err)
			}

			r.warnings.take()
			wantAccepted(t, "only warned of", r.try(t, g.in(t, warned)))
			got := r.warnings.take()
			switch {
			case g.words == "" && len(got) > 0:
				t.Errorf("warned of what is accepted: %q", got)
			case g.words != "" && (len(got) != 1 || !strings.Contains(got[0], g.says(warned))):
				t.Errorf("warnings %q, want one that says %q", got, g.says(warned))
			}

			wantAccepted(t, "not asked for", r.try(t, g.in(t, free)))
			wantAccepted(t, "excepted", r.try(t, g.in(t, exempt[g.policy])))
			if got := r.warnings.take(); len(got) > 0 {
				t.Errorf("warned where nothing is asked for: %q", got)
			}
		})
	}
}

// What was there before the label can be lived with: it can be suspended, labelled and deleted, but not made worse.
func TestGuardrailsOnWhatIsThere(t *testing.T) {
	r := newRails(t)
	namespace := r.namespace(t, "legacy", nil, nil)
	there := func(g guarded) *unstructured.Unstructured {
		object := g.in(t, namespace)
		object.SetName(strings.Trim(notInNames.ReplaceAllString(strings.ToLower(g.policy+"-"+g.reason+"-"+g.words), "-"), "-"))
		r.make(t, object) // its deletion, under the policy, is checked at the end of the test
		return object
	}
	violating, changing := make([]*unstructured.Unstructured, len(guardedCases)), make([]*unstructured.Unstructured, len(guardedChanges))
	for i, g := range guardedCases {
		if g.words != "" {
			violating[i] = there(g)
		}
	}
	for i, change := range guardedChanges {
		changing[i] = there(change.guarded)
	}
	labelled := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"`+guardrails+`":"enforced"}}}`))
	if err := r.admin.Patch(t.Context(), labelled, patch); err != nil {
		t.Fatal(err)
	}
	r.inForce(t, namespace)

	for i, g := range guardedCases {
		if violating[i] == nil {
			continue
		}
		t.Run(g.policy+"/"+g.kind+"/"+g.reason, func(t *testing.T) {
			for _, patch := range []string{`{"spec":{"suspend":true}}`, `{"metadata":{"labels":{"a":"b"}}}`} {
				err := r.author.Patch(t.Context(), violating[i].DeepCopy(), client.RawPatch(types.MergePatchType, []byte(patch)), client.DryRunAll)
				wantAccepted(t, "an edit of something else: "+patch, err)
			}
			// This is how docs/guardrails.md finds what is there and would be refused.
			anew := g.in(t, namespace)
			anew.SetName(violating[i].GetName())
			wantRefusedBy(t, g, namespace, r.try(t, anew))
		})
	}
	for i, change := range guardedChanges {
		t.Run(change.policy+"/changed/"+change.reason, func(t *testing.T) {
			now := changing[i].DeepCopy()
			now.Object["spec"] = merge(now.Object["spec"].(map[string]any), table(t, change.after))
			err := r.author.Update(t.Context(), now, client.DryRunAll)
			if change.words == "" {
				wantAccepted(t, change.reason, err)
			} else {
				wantRefusedBy(t, change.guarded, namespace, err)
			}
		})
	}
}

// A namespace has figures of its own by annotations, which only who may edit namespaces can write.
func TestGuardrailsOfANamespace(t *testing.T) {
	r := newRails(t)
	namespace := r.namespace(t, "tuned", map[string]string{guardrails: "enforced"}, map[string]string{
		guardrail + "name-prefix": "orders-", guardrail + "maximum-partitions": "2",
		guardrail + "minimum-replicas": "2", guardrail + "dead-letter-queues": "-parking$",
	})
	r.inForce(t, r.namespace(t, "enforced", map[string]string{guardrails: "enforced"}, nil))
	for _, g := range []guarded{
		{"naming", "the prefix", "Exchange", `{name: orders-created}`, nil, ""},
		{"naming", "the prefix alone", "VirtualHost", `{name: orders}`, nil, ""},
		{"naming", "the namespace is no prefix any more", "Exchange", `{}`, nil, "write name: orders-... instead of NS.orders"},
		{"maximum-partitions", "fewer than elsewhere", "Topic", `{name: orders-a, partitions: 3}`, nil, "write at most 2"},
		{"maximum-partitions", "as many as here", "Topic", `{name: orders-a, partitions: 2}`, nil, ""},
		{"minimum-replication", "fewer than elsewhere", "Topic", `{name: orders-a, partitions: 1, replicationFactor: 2}`, nil, ""},
		{"minimum-replication", "fewer than here", "Topic", `{name: orders-a, partitions: 1, replicationFactor: 1}`, nil, "write replicationFactor: 2 or more"},
		{"dead-letter-required", "a dead-letter queue of here", "Queue", `{name: orders-parking, deadLetter: null}`, nil, ""},
		{"dead-letter-required", "a dead-letter queue of elsewhere", "Queue", `{name: orders-a.dead, deadLetter: null}`, nil, "matches -parking$"},
	} {
		t.Run(g.policy+"/"+g.reason, func(t *testing.T) {
			err := r.try(t, g.in(t, namespace))
			if g.words == "" {
				wantAccepted(t, g.reason, err)
			} else {
				wantRefusedBy(t, g, namespace, err)
			}
		})
	}
}

// Who may acknowledge what is held back, and that all others may edit the rest of the connection.
func TestGuardrailsAcknowledgements(t *testing.T) {
	r := newRails(t)
	namespace := r.namespace(t, "acknowledged", map[string]string{guardrails: "enforced"}, nil)
	r.inForce(t, namespace)
	g := guarded{"acknowledgements", "", "RabbitMQConnection", `{}`, nil, "author may not set the annotation topology.warrener.dev/allow-deletes"}
	connection := g.in(t, namespace)
	r.make(t, connection)
	annotate := func(value string) error {
		patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"topology.warrener.dev/allow-deletes":`+value+`}}}`))
		return r.author.Patch(t.Context(), connection.DeepCopy(), patch)
	}
	wantRefusedBy(t, g, namespace, annotate(`"w1"`))

	acknowledge := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "acknowledge", Namespace: namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "warrener-acknowledge"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "author"}},
	}
	r.make(t, acknowledge)
	r.eventually(t, "who has the right to acknowledge", func() error { return annotate(`"w1"`) })
	if err := r.admin.Delete(t.Context(), acknowledge); err != nil {
		t.Fatal(err)
	}
	tries := 0
	r.eventually(t, "the right to be gone", func() error {
		tries++ // what stands there already anybody may write once more
		if annotate(fmt.Sprintf(`"late-%d"`, tries)) == nil {
			return errors.New("another window was acknowledged")
		}
		return nil
	})
	wantRefusedBy(t, g, namespace, annotate(`"w3"`))
	edit := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"interval":"1m"}}`))
	wantAccepted(t, "an edit of something else", r.author.Patch(t.Context(), connection.DeepCopy(), edit))
	wantAccepted(t, "taking the annotation away", annotate(`null`))
}

// Without its figures a policy cannot decide: it refuses where it is enforced, and stops nobody where it warns.
func TestGuardrailsWithoutParameters(t *testing.T) {
	r := newRails(t)
	enforced := r.namespace(t, "enforced", map[string]string{guardrails: "enforced"}, nil)
	warned := r.namespace(t, "warned", map[string]string{guardrails: "warn"}, nil)
	r.inForce(t, enforced)
	accepted := guarded{"maximum-partitions", "accepted with its figure", "Topic", `{}`, nil, ""}
	wantAccepted(t, "enforced", r.try(t, accepted.in(t, enforced)))

	figures := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "warrener-system", Name: "warrener-guardrails"}}
	if err := r.admin.Delete(t.Context(), figures); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, "a refusal for want of figures", func() error {
		if r.try(t, accepted.in(t, enforced)) == nil {
			return errors.New("accepted")
		}
		return nil
	})
	wantAccepted(t, "only warned of", r.try(t, accepted.in(t, warned)))
}

// Every policy is tested both ways and bound both ways, and its expressions fit the kinds that it is about.
func TestGuardrailsAreComplete(t *testing.T) {
	r := newRails(t)
	var policies admissionv1.ValidatingAdmissionPolicyList
	if err := r.admin.List(t.Context(), &policies); err != nil {
		t.Fatal(err)
	}
	type cases struct{ Accepted, Refused bool }
	want, got := map[string]cases{}, map[string]cases{}
	actions := map[string][]admissionv1.ValidationAction{}
	for _, policy := range policies.Items {
		want[policy.Name] = cases{true, true}
		actions[policy.Name], actions[policy.Name+"-warn"] = []admissionv1.ValidationAction{"Deny"}, []admissionv1.ValidationAction{"Warn", "Audit"}
		r.typeChecks(t, policy.Name)
	}
	for _, g := range guardedCases {
		c := got["warrener-"+g.policy]
		got["warrener-"+g.policy] = cases{c.Accepted || g.words == "", c.Refused || g.words != ""}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("policies with cases (-want +got):\n%s", diff)
	}
	var bindings admissionv1.ValidatingAdmissionPolicyBindingList
	if err := r.admin.List(t.Context(), &bindings); err != nil {
		t.Fatal(err)
	}
	bound := map[string][]admissionv1.ValidationAction{}
	for _, binding := range bindings.Items {
		bound[binding.Name] = binding.Spec.ValidationActions
		if policy := strings.TrimSuffix(binding.Name, "-warn"); binding.Spec.PolicyName != policy {
			t.Errorf("binding %s is of %s, want %s", binding.Name, binding.Spec.PolicyName, policy)
		}
	}
	if diff := cmp.Diff(actions, bound); diff != "" {
		t.Errorf("bindings and what they do (-want +got):\n%s", diff)
	}
}
