package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/warrener-dev/warrener/test/golden"
)

const operatorResources = `
apiVersion: rabbitmq.com/v1beta1
kind: Queue
metadata: {name: mails, namespace: shop}
spec: {name: mails, durable: true, rabbitmqClusterReference: {name: main}}
---
apiVersion: rabbitmq.com/v1beta1
kind: User
metadata: {name: app, namespace: shop}
spec: {rabbitmqClusterReference: {name: main}}
`

const exported = `{"rabbitmq_version": "4.0.5", "vhosts": [{"name": "/"}, {"name": "shop"}], "users": [{"name": "u", "password_hash": "hush"}],
  "queues": [{"name": "Mails", "vhost": "shop", "durable": true, "auto_delete": false, "arguments": {"x-queue-type": "quorum"}},
             {"name": "jobs", "vhost": "/", "durable": true, "auto_delete": false, "arguments": {}}],
  "exchanges": [], "bindings": [{"source": "amq.topic", "vhost": "shop", "destination": "Mails", "destination_type": "queue", "routing_key": "mail.#", "arguments": {}}]}`

func TestImportPrints(t *testing.T) {
	file := filepath.Join(t.TempDir(), "definitions.json")
	if err := os.WriteFile(file, []byte(exported), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason string
		args   []string
		keys   string
	}{
		"definitions":  {reason: "a whole broker", args: []string{"-f", file, "-n", "team"}},
		"virtual-host": {reason: "one virtual host of it, over a connection that is there", args: []string{"-f", file, "--virtual-host", "shop", "--connection", "main", "--without-connection"}},
		"operator":     {reason: "resources on standard input", args: []string{"-f", "-"}, keys: operatorResources},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.keys = tc.keys
			if code := d.run(append([]string{"import"}, tc.args...)...); code != ExitDone {
				t.Fatalf("%s: ended with %d: %s", tc.reason, code, d.err.String())
			}
			if strings.Contains(d.out.String(), "hush") {
				t.Error("a secret is printed")
			}
			got := d.out.String() + "\n# stderr: " + d.err.String()
			golden.Check(t, filepath.Join("import", name+".yaml"), got)
		})
	}
}

func TestImportWritesFiles(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "topology")
	d := newDesk(t)
	d.keys = exported
	for range 2 { // an import replaces what an import wrote
		if code := d.run("import", "-f", "-", "--output-dir", folder); code != ExitDone {
			t.Fatalf("ended with %d: %s", code, d.err.String())
		}
	}
	if d.out.Len() > 0 {
		t.Errorf("it writes to stdout, too: %s", d.out.String())
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if want := []string{"connection.yaml", "default.yaml", "shop.yaml"}; !slices.Equal(names, want) {
		t.Errorf("files %q, want %q", names, want)
	}
	precious := filepath.Join(folder, "shop.yaml")
	if err := os.WriteFile(precious, []byte("# mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := d.run("import", "-f", "-", "--output-dir", folder); code != ExitFailed || !strings.Contains(d.err.String(), "is not of an earlier import") {
		t.Errorf("a file of somebody else: ended with %d: %s", code, d.err.String())
	}
	if text, err := os.ReadFile(precious); err != nil || string(text) != "# mine\n" {
		t.Errorf("it was overwritten: %s %v", text, err)
	}
}

func TestImportRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "definitions.json")
	if err := os.WriteFile(file, []byte(exported), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		args []string
		keys string
		says string
	}{
		"nothing":               {nil, "", "nothing to import"},
		"files and a broker":    {[]string{"-f", file, "--rabbitmq-url", "http://127.0.0.1:1"}, "", "one after the other"},
		"two definitions files": {[]string{"-f", file, "-f", file}, "", "one broker at a time"},
		"a virtual host that is not there": {
			[]string{"-f", file, "--virtual-host", "none"}, "", `there is no virtual host "none"`,
		},
		"something else":             {[]string{"-f", "-"}, "apiVersion: v1\nkind: Pod\n", "neither a definitions file"},
		"an expression that is none": {[]string{"-f", file, "--topics", "("}, "", "--topics"},
		"no credentials":             {[]string{"--rabbitmq-url", "http://127.0.0.1:1"}, "", "WARRENER_RABBITMQ_USERNAME"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Setenv("WARRENER_RABBITMQ_USERNAME", "")
			d := newDesk(t)
			d.keys = tc.keys
			if code := d.run(append([]string{"import"}, tc.args...)...); code != ExitFailed || !strings.Contains(d.err.String(), tc.says) {
				t.Errorf("ended with %d and %q, want %d and %q", code, d.err.String(), ExitFailed, tc.says)
			}
		})
	}
}
