package console

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
)

// fields are what a line has not told yet.
type fields map[string]any

// take returns a field's text, and "" when it says nothing: then it is absent, zero or empty.
func (f fields) take(name string) string {
	value := f[name]
	delete(f, name)
	return asText(value)
}

// number returns a field's number, or 0.
func (f fields) number(name string) int64 {
	value, is := f[name].(json.Number)
	if !is {
		return 0
	}
	delete(f, name)
	n, err := value.Int64()
	if err != nil {
		return 0
	}
	return n
}

func asText(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		if v == "0" {
			return ""
		}
		return v.String()
	case []any:
		texts := make([]string, len(v))
		for i := range v {
			texts[i] = asText(v[i])
		}
		return strings.Join(texts, ", ")
	default:
		encoded, err := json.Marshal(v)
		if err != nil {
			return fmt.Sprint(v)
		}
		return string(encoded)
	}
}

// phrases are how a field is told, in the order in which one asks: which, where, why, how many,
// how fast.
var phrases = []struct{ name, format string }{
	{"service", "%s"},
	{"app", "%s"},
	{"goes_on", "%s goes on"},
	{"what", "%s"},
	{"file", "%s"},
	{"statsd", "%s"},
	{"loops", "%s"},
	{"agent", "%s"},
	{"node", "node %s"},
	{"master", "%s"},
	{"leader", "leader %s"},
	{"remote", "%s"},
	{"addresses", "at %s"},
	{"port", "port %s"},
	{"port_name", "port %s"},
	{"key", "%s"},
	{"deleted", "deleted %s"},
	{"marathon", "Marathon %s"},
	{"consul", "Consul %s"},
	{"registration_id", "as %s"},
	{"version", "version %s"},
	{"framework", "framework %s"},
	{"others", "others %s"},
	{"role", "%s"},
	{"holder", "held by %s"},
	{"status", "%s"},
	{"before", "was %s"},
	{"state", "%s"},
	{"event", "%s"},
	{"cause", "%s"},
	{"why", "%s"},
	{"since", "since %s"},
	{"silent_since", "silent since %s"},
	{"held_back", "%s held back"},
	{"keys", "%s in all"},
	{"foreign_framework", "%s of another framework"},
	{"count", "%s so far"},
	{"bytes", "%s bytes"},
	{"waiting", "%s waiting"},
	{"queue", "%s waiting"},
	{"failed_attempts", "%s failed attempts"},
}

// spans are the fields in milliseconds; lag_ms has took_ms in it.
var spans = []struct{ name, format string }{
	{"connected_ms", "after %s"},
	{"deaf_ms", "deaf for %s"},
	{"silent_ms", "silent for %s"},
	{"lag_ms", "%s"},
	{"took_ms", "%s"},
}

// details tells all fields that are left.
func (f fields) details() []string {
	var told []string
	tell := func(format, value string) {
		if value != "" {
			told = append(told, fmt.Sprintf(format, value))
		}
	}
	if n := f.number("attempt"); n > 1 {
		defer func() { told = append(told, fmt.Sprintf("attempt %d", n)) }()
	}
	for _, p := range phrases {
		tell(p.format, f.take(p.name))
		if p.name == "port" {
			tell("%s", f.ports())
		}
	}
	for _, s := range spans {
		if ms := f.number(s.name); ms > 0 {
			tell(s.format, span(ms))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f)) {
		value := f.take(name)
		if strings.ContainsAny(value, " ,=\"") {
			value = strconv.Quote(value)
		}
		tell(name+"=%s", value)
	}
	return told
}

// ports are how many an app has, or in an event which.
func (f fields) ports() string {
	_, which := f["ports"].([]any)
	switch ports := f.take("ports"); {
	case ports == "":
		return ""
	case which:
		return "ports " + ports
	default:
		return ports + " ports"
	}
}

// trim takes away what a line says in other words already, or what says nothing.
func (f fields) trim(message string) {
	if agent := asText(f["agent"]); agent != "" {
		f["agent"] = place(agent)
	}
	service, app := asText(f["service"]), asText(f["app"])
	if service != "" && service == strings.ReplaceAll(strings.TrimPrefix(app, "/"), "/", "-") {
		delete(f, "app")
	}
	why := asText(f["why"])
	if asText(f["state"])+asText(f["status"]) != "" {
		delete(f, "event")
		if strings.HasSuffix(asText(f["cause"]), "_event") {
			delete(f, "cause")
		}
		if why == "task has ended" {
			delete(f, "why") // so says the state
		}
	}
	if why != "" && f["cause"] == "app read" {
		delete(f, "cause")
	}
	if leader := asText(f["leader"]); strings.HasSuffix(asText(f["master"]), "/"+leader) {
		delete(f, "leader")
	}
	if lag, is := f["lag_ms"].(json.Number); is && asText(lag) != "" && !strings.HasPrefix(lag.String(), "-") {
		delete(f, "took_ms")
	}
	if strings.HasPrefix(app, "/") && strings.Contains(message, app) {
		delete(f, "app")
	}
	if f["count"] == json.Number("1") {
		delete(f, "count")
	}
	if f["cause"] == message {
		delete(f, "cause")
	}
	if strings.Contains(message, asText(f["error"])) {
		delete(f, "error")
	}
}

// place is an agent's host: all agents have one port.
func place(agent string) string {
	if agent == "kv" {
		return "KV store"
	}
	if host, _, err := net.SplitHostPort(agent); err == nil {
		return host
	}
	return agent
}
