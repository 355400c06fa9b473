package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestStartShowsNoUser(t *testing.T) {
	t.Setenv("CONSUL_HTTP_AUTH", "s3cret:s3cret")
	p := start(t, "--marathon", "http://s3cret@127.0.0.1:1,http://s3cret:s3cret@127.0.0.1:2", "--consul", "127.0.0.1:1")
	p.says("consular starts", `"http://127.0.0.1:1,http://127.0.0.1:2"`, `"http://127.0.0.1:1"`)
	p.says("connect failed")
	if code := p.stop(); code != 0 || strings.Contains(read(t, p.log), "s3cret") {
		t.Errorf("exit code %d, or the log has a secret", code)
	}
}

// What a command takes stands in its help with its environment variable, and is read from there.
func TestCommandsReadTheEnvironment(t *testing.T) {
	for command, names := range map[string][]string{
		"sync": {"FORCE", "ADOPT", "ADOPT_FROM"}, "remove": {"FORCE"}, "plan": {"FORMAT"}, "events": {"FORMAT"}, "demo": {"FOR", "CONSUL_BIN"},
	} {
		_, out, _ := once(t, command, "--help")
		for _, name := range names {
			if !strings.Contains(out, "$CONSULAR_"+name+"]") {
				t.Errorf("%s: CONSULAR_%s is missing:\n%s", command, name, out)
			}
		}
	}
	w := newWorld(t)
	t.Setenv("CONSULAR_FORMAT", "json")
	if code, out, log := once(t, w.options("plan")...); code != 0 || !json.Valid([]byte(out)) {
		t.Errorf("plan: exit code %d\n%s%s", code, out, log)
	}
	t.Setenv("CONSULAR_FORCE", "true")
	if code, out, log := once(t, w.options("remove")...); code != 0 {
		t.Errorf("remove: exit code %d\n%s%s", code, out, log)
	}
}

func TestHelpAndVersion(t *testing.T) {
	for args, want := range map[string][]string{
		"--help":      {"sync", "plan", "events", "demo", "--marathon URL[,URL…]", "--purge-confirm time", "CONSULAR_KV_PREFIX", "5m0s"},
		"plan --help": {"--format", "exit 0: in sync, 2: drift"},
		"--version":   {"consular version ", "commit ", "go1."},
	} {
		code, out, log := once(t, strings.Fields(args)...)
		for _, text := range want {
			if !strings.Contains(out, text) {
				t.Errorf("%s does not mention %q:\n%s", args, text, out)
			}
		}
		if code != 0 || log != "" {
			t.Errorf("%s: exit code %d, %s", args, code, log)
		}
	}
}

func TestBadInput(t *testing.T) {
	for line := range strings.Lines(read(t, "testdata/bad-input.txt")) {
		words, want, listed := strings.Cut(line, "=>")
		if !listed || strings.HasPrefix(line, "#") {
			continue
		}
		t.Run(words, func(t *testing.T) {
			args := strings.Fields(words)
			for len(args) > 0 && strings.HasPrefix(args[0], "CONSUL") {
				name, value, _ := strings.Cut(args[0], "=")
				t.Setenv(name, value)
				args = args[1:]
			}
			code, out, log := once(t, args...)
			if code != 1 || out != "" {
				t.Errorf("exit code %d, stdout: %s", code, out)
			}
			if !strings.HasPrefix(log, "consular: ") || strings.Count(log, "\n") != 1 || strings.Contains(log, "secret") {
				t.Errorf("not one clear line: %s", log)
			}
			for word := range strings.FieldsSeq(want) {
				if !strings.Contains(log, word) {
					t.Errorf("does not name %s: %s", word, log)
				}
			}
		})
	}
}
