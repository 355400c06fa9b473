package consul

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"
)

// Which answers are about the one thing that was asked, and which about the agent.
func TestUnableIsAboutOneThing(t *testing.T) {
	for _, test := range []struct {
		code   int
		body   string
		unable bool
	}{
		{500, "Failed to create boolean expression evaluator", true},
		{500, `rpc error making call: raft apply failed: invalid session "x"`, true},
		{500, "", true},
		{501, "not implemented", true},
		{500, "No cluster leader", false},
		{500, "No known Consul servers", false},
		{500, "rpc error making call: No cluster leader", false},
		{500, "rpc error making call: EOF", false},
		{500, "rpc error getting client: failed to get conn: dial tcp 10.0.0.1:8300: connect: connection refused", false},
		{500, "rpc error making call: leadership lost while committing log", false},
		{502, "Bad Gateway", false},
		{503, "rate limit exceeded for operation that can only be performed by the leader, try again later", false},
		{504, "Gateway Timeout", false},
		{429, "Your IP is issuing too many concurrent connections", false},
		{403, "Permission denied", false},
	} {
		answer := api.StatusError{Code: test.code, Body: test.body}
		err := fmt.Errorf("register web.1 on 10.0.0.1:8500: %w", &answerError{status: answer, text: test.body})
		if Unable(err) != test.unable {
			t.Errorf("%v: Unable is %v", err, !test.unable)
		}
	}
	if Unable(nil) || Unable(errors.New("EOF")) {
		t.Error("what is no answer is about one thing")
	}
}

// A question that fails because of another one, which is asked first, says once what to do.
func TestAHintIsGivenOnce(t *testing.T) {
	c := connect(t, &url.URL{Scheme: "http", Host: closedPort(t)})
	_, err := c.Catalog().Nodes(t.Context())
	if err == nil || strings.Count(err.Error(), "client_addr") != 1 || !strings.HasPrefix(err.Error(), "list nodes: read node id on ") || !Unreachable(err) {
		t.Errorf("%v", err)
	}
}
