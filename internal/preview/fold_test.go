package preview

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFold(t *testing.T) {
	binding := func(action Action, destination, key string) Item {
		return Item{Action: action, Object: "binding shop/x -> queue " + destination + " key " + key, Owners: []string{"Queue orders/" + destination}}
	}
	risky := binding(Delete, "q", "e")
	risky.Risks = []string{"nobody else takes it"}
	var got []string
	for _, item := range folded([]Item{
		{Action: Create, Object: "queue shop/q"},
		binding(Create, "q", "a"), binding(Create, "q", "b"), binding(Create, "q", "c"), binding(Create, "q", "d"),
		binding(Create, "r", "a"), binding(Create, "r", "b"), binding(Create, "r", "c"),
		binding(Delete, "r", "d"), risky, binding(Delete, "q", "f"),
	}) {
		got = append(got, string(item.Action)+" "+item.Object)
	}
	want := []string{
		"create queue shop/q",
		"create 4 bindings shop/x -> queue q keys a, b and 2 more",
		"create binding shop/x -> queue r key a", "create binding shop/x -> queue r key b", "create binding shop/x -> queue r key c",
		"delete binding shop/x -> queue r key d", "delete binding shop/x -> queue q key e", "delete binding shop/x -> queue q key f",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
