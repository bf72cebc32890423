package cli

import (
	"strings"
	"testing"

	"github.com/warrener-dev/warrener/test/golden"
)

func TestTrace(t *testing.T) {
	const shop = "trace -f testdata/trace/shop.yaml "
	cases := map[string]struct {
		line string
		exit int
	}{
		"tiers":             {shop + "--exchange orders --key order.us.created", ExitDone},
		"tiers-3.10":        {shop + "--exchange orders --key order.us.created --rabbitmq-version 3.10", ExitDone},
		"cycle":             {shop + "--exchange orders --key order.eu.created", ExitDone},
		"headers":           {shop + "--exchange vip --header region=EU --header level=2 --header x-note=a", ExitDone},
		"headers-text":      {shop + `--exchange vip --header region=EU --header level="2"`, ExitDone},
		"nested-alternates": {shop + "--exchange orders --key other", ExitDone},
		"copies":            {shop + "--exchange orders --key order.us.created --cc order.eu.paid --bcc other", ExitDone},
		"published":         {shop + "--exchange= --key refund --expiration 5s", ExitDone},
		"native":            {shop + "--exchange= --key mail", ExitDone},
		"native-4.0":        {shop + "--exchange= --key mail --rabbitmq-version 4.0", ExitFound},
		"round":             {shop + "--exchange= --key round --cc round.wait", ExitDone},
		"keeper":            {shop + "--exchange= --key keeper", ExitDone},
		"consistent-hash":   {shop + "--exchange spread --key a", ExitFound},
		"internal":          {shop + "--exchange unrouted --key a", ExitFound},
		"no-exchange":       {shop + "--exchange order --key a", ExitFound},
		"no-queue":          {shop + "--exchange= --key nobody", ExitFound},
		"bad-cc":            {shop + "--exchange orders --key order.us.created --header CC=other", ExitFound},
		"json":              {shop + "--exchange orders --key order.us.created -o json", ExitDone},
		"yaml":              {shop + "--exchange spread --key a -o yaml", ExitFound},
		"topic":             {shop + "--topic order-events --key order-4711", ExitDone},
		"topic-librdkafka":  {shop + "--topic order-events --key order-4711 --partitioner librdkafka", ExitDone},
		"topic-legacy":      {shop + "--topic order-events --key order-4711 --partitioner kafkajs-legacy", ExitDone},
		"topic-no-key":      {shop + "--topic order-events", ExitFound},
		"topic-empty-key":   {shop + "--topic order-events --key= --partitioner librdkafka", ExitFound},
		"topic-undeclared":  {shop + "--topic clicks --key a", ExitFound},
		"topic-missing":     {shop + "--topic orders --key a", ExitFound},
		"topic-json":        {shop + "--topic order-events --key order-4711 -o json", ExitDone},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.ends(c.exit, append(strings.Fields(c.line), "--exit-code")...)
			golden.Check(t, "trace/"+name+".txt", d.out.String()+d.err.String())
		})
	}
}

func TestTraceRefuses(t *testing.T) {
	for line, want := range map[string]string{
		"trace -f testdata/trace/shop.yaml":                                        "say what is published to",
		"trace -f testdata/trace/shop.yaml --exchange a --topic b":                 "say what is published to",
		"trace --exchange a":                                                       "nothing to trace in",
		"trace -f testdata/trace/shop.yaml --exchange a --header b":                "write NAME=VALUE",
		"trace -f testdata/trace/shop.yaml --exchange a --expiration 1ns":          "whole milliseconds",
		"trace -f testdata/trace/shop.yaml --topic a --partitioner b":              "java, librdkafka, kafkajs, kafkajs-legacy",
		"trace -f testdata/trace/shop.yaml --exchange a --connection b":            "the manifests have no such connection",
		"trace -f testdata/trace/shop.yaml --exchange a --live":                    "Secret default/rabbitmq is not among the manifests",
		"trace -f testdata/trace/nowhere.yaml --exchange a":                        "no such file",
		"trace -f testdata/trace/shop.yaml --exchange a --rabbitmq-url http://a@b": "user and password do not belong in the URL",
	} {
		t.Run(line, func(t *testing.T) {
			if strings.Contains(line, "--rabbitmq-url") {
				t.Setenv(envRabbitMQUsername, "guest")
			}
			d := newDesk(t)
			d.ends(ExitFailed, strings.Fields(line)...)
			if !strings.Contains(d.err.String(), want) {
				t.Errorf("stderr should say %q, got %q", want, d.err.String())
			}
		})
	}
}
